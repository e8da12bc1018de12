/** Facts about an export that decide how a domain's disk over it has to look. */
import type { Control, DiskStatus, ImageStatus } from '../admin/control.js';
import { CopseError, errorCode } from '../base/error.js';
import { diskSerial, imageSerial } from './serial.js';

export type ExportFacts = { name: string; serial: string } & ({ kind: 'image'; image: ImageStatus } | { kind: 'disk'; disk: DiskStatus });

/** @throws CopseError `ERR_NO_SUCH_EXPORT`, and the errors of the daemon */
export async function findExport(control: Control, name: string): Promise<ExportFacts> {
  const facts = await tryExport(control, name);
  if (facts !== undefined) return facts;
  throw new CopseError('ERR_NO_SUCH_EXPORT', `there is no disk and no image ${name}: "copse disk ls" and "copse image ls" list all`);
}

/**
 * If a disk and an image have one name, clients get the disk. `undefined` if the daemon has
 * neither.
 */
export async function tryExport(control: Control, name: string): Promise<ExportFacts | undefined> {
  const disk = await unlessMissing(control.disks.status(name), 'ERR_NO_SUCH_DISK');
  if (disk !== undefined) return { kind: 'disk', name, disk, serial: diskSerial(disk.uuid) };
  const image = await unlessMissing(control.images.status(name), 'ERR_NO_SUCH_IMAGE');
  return image && { kind: 'image', name, image, serial: imageSerial(name) };
}

async function unlessMissing<T>(answer: Promise<T>, missingCode: string): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (errorCode(error) === missingCode) return undefined;
    throw error;
  }
}
