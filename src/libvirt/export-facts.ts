/** What a domain's disk has to be, as the daemon tells of the export behind it. */
import type { Control, DiskStatus, ImageStatus } from '../admin/control.js';
import { CopseError, errorCode } from '../base/error.js';
import { diskSerial, imageSerial } from './serial.js';

export type ExportFacts = { name: string; serial: string } & ({ kind: 'image'; image: ImageStatus } | { kind: 'disk'; disk: DiskStatus });

/** @throws CopseError `ERR_NO_SUCH_EXPORT`, and what the daemon throws */
export async function findExport(control: Control, name: string): Promise<ExportFacts> {
  const facts = await tryExport(control, name);
  if (facts !== undefined) return facts;
  throw new CopseError(
    'ERR_NO_SUCH_EXPORT',
    `there is no disk and no image ${name}: "copse disk ls" and "copse image ls" show what there is`,
  );
}

/** As clients get it: of a disk and an image of one name the disk. `undefined` where the daemon has neither. */
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
