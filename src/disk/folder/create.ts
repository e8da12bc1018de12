/** Makes a disk's folder: under another name until all of it is durable, so that there is a whole disk or none. */
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CopseError, errorCode } from '../../base/error.js';
import { native } from '../../base/native/loader.js';
import { blockBytes } from '../../base/native/overlay.js';
import { type DiskRecord, diskRecordSchema } from '../protocol/record.js';
import { formatMapHeader, mapFileBytes, mapHeaderBytes, recordSeedOf } from './map-header.js';
import { formatOwnerFile, type OwnerFile } from './owner-file.js';

/** Of a folder that is being made, and of one that is being removed. */
export const unfinishedSuffix = '.new';
export const removedSuffix = '.gone';

/**
 * @param states a byte a block, as `NativeOverlayFile.copyMap` gives them; absent: all base
 * @throws CopseError `ERR_DISK_EXISTS`; `ENOSPC` and other errors of the operating system: nothing is left then
 */
export async function createFolder(path: string, record: DiskRecord, owner: OwnerFile, states?: Uint8Array): Promise<void> {
  checkSize(record.sizeBytes);
  await checkFree(path);
  const making = `${path}${unfinishedSuffix}`;
  try {
    await rm(making, { recursive: true, force: true });
    await mkdir(join(making, 'snapshot'), { recursive: true, mode: 0o700 });
    // At once: a file system commits them together.
    await settleAll([
      writeSynced(join(making, 'disk.json'), formatRecord(record)),
      writeSynced(join(making, 'owner.json'), formatOwnerFile(owner)),
      writeSynced(join(making, owner.data), '', record.sizeBytes),
      createMap(join(making, owner.state.map), record, states),
      syncDirectoryLater(join(making, 'snapshot')),
    ]);
    await syncDirectoryLater(making);
    await rename(making, path);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    if (errorCode(error) !== 'ENOSPC') throw error;
    throw new CopseError('ENOSPC', `disk "${record.name}": no room for its files in ${dirname(path)}: make room`, { cause: error });
  }
  await syncDirectoryLater(dirname(path));
}

/** @throws CopseError `ERR_SIZE` */
export function checkSize(sizeBytes: number): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % blockBytes === 0) return;
  throw new CopseError('ERR_SIZE', `a disk of ${sizeBytes} bytes: its size is a multiple of ${blockBytes}`);
}

export function formatRecord(record: DiskRecord): string {
  return `${JSON.stringify(diskRecordSchema.parse(record), undefined, 2)}\n`;
}

/** Writes a map that must not exist. Durable but for the directory's entry. */
export async function createMap(path: string, { uuid, sizeBytes }: DiskRecord, states?: Uint8Array): Promise<void> {
  const header = formatMapHeader({ uuid, sizeBytes });
  // A hole is a map of base blocks.
  if (states === undefined) return writeSynced(path, header, mapFileBytes(sizeBytes));
  if (states.length !== sizeBytes / blockBytes) throw new RangeError(`a map of ${states.length} blocks for a disk of ${sizeBytes} bytes`);
  await native.writeOverlayMap({ mapPath: path, recordsOffset: mapHeaderBytes, recordSeed: recordSeedOf(uuid), header }, states);
}

async function checkFree(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  throw new CopseError('ERR_DISK_EXISTS', `${path} exists: this node has, or had, blocks of that disk`);
}

async function writeSynced(path: string, content: string | Buffer, lengthBytes?: number): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    if (lengthBytes !== undefined) await handle.truncate(lengthBytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** As `syncDirectory`, on a thread. */
async function syncDirectoryLater(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Rejects as the first that failed, when all have ended: none may go on in a folder that is being removed. */
async function settleAll(tasks: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(tasks)) if (result.status === 'rejected') throw result.reason;
}
