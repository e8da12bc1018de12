/**
 * Copies of sparse files: by reflink, which takes no time and no space, where the file system can (XFS, btrfs), or with data runs alone.
 *
 * Invariant: a copy is durable when its call resolves (its directory's entry is the caller's to sync), and nothing is left of one that fails. The source must not change meanwhile.
 */
import { constants } from 'node:fs';
import { copyFile, open, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AbortedError, CopseError, errorCode } from '../../base/error.js';
import type { NativeBlockFile } from '../../base/native/block.js';
import { native } from '../../base/native/loader.js';
import { formatSize } from '../../base/size.js';

const stepBytes = 1024 * 1024;
/** Between syncs, so that progress is true and an end does not wait for gigabytes. */
const syncBytes = 64 * stepBytes;
/** Runs that are asked for at once. */
const runCount = 512;

export interface CopyProgress {
  doneBytes: number;
  totalBytes: number;
}

export interface SparseCopyOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: CopyProgress) => void) | undefined;
}

/** What file systems answer that have no reflinks, or none between these two files. Source: ioctl_ficlone(2). */
const unable = ['ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOTTY', 'ENOSYS', 'EXDEV', 'EPERM'];

/**
 * Makes `to`, which must not exist, a reflink of `from`.
 *
 * @returns `false` where the file system can't
 */
export async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE);
  } catch (error) {
    if (unable.includes(errorCode(error))) return false;
    throw spaceError(error, to);
  }
  try {
    const handle = await open(to, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(to, { force: true });
    throw spaceError(error, to);
  }
  return true;
}

/**
 * Copies the data of `from` to `to`, which must not exist; holes stay holes.
 *
 * @throws CopseError `ENOSPC` before it begins, when there is no room for it, or on the way; `ERR_ABORTED`
 */
export async function sparseCopy(from: string, to: string, options: SparseCopyOptions = {}): Promise<CopyProgress> {
  const source = native.openBlockFile(from, { write: false });
  try {
    const totalBytes = await dataBytesOf(source);
    await checkRoom(to, totalBytes);
    await (await open(to, 'wx', 0o600)).close();
    try {
      return await copyRuns(source, to, totalBytes, options);
    } catch (error) {
      await rm(to, { force: true });
      throw spaceError(error, to);
    }
  } finally {
    await source.close();
  }
}

async function copyRuns(source: NativeBlockFile, to: string, totalBytes: number, options: SparseCopyOptions): Promise<CopyProgress> {
  const target = native.openBlockFile(to, { write: true });
  try {
    await target.truncate(source.sizeBytes);
    const buffer = Buffer.allocUnsafe(stepBytes);
    let doneBytes = 0;
    let unsyncedBytes = 0;
    for await (const run of dataRuns(source)) {
      for (let at = 0; at < run.lengthBytes; at += stepBytes) {
        if (options.signal?.aborted === true) throw new AbortedError(`copy to ${to}`);
        const lengthBytes = Math.min(stepBytes, run.lengthBytes - at);
        await source.read(buffer, 0, lengthBytes, run.offset + at);
        await target.write(buffer, 0, lengthBytes, run.offset + at, false);
        doneBytes += lengthBytes;
        unsyncedBytes += lengthBytes;
        if (unsyncedBytes >= syncBytes) {
          await target.sync();
          unsyncedBytes = 0;
        }
        options.onProgress?.({ doneBytes, totalBytes });
      }
    }
    await target.sync();
    return { doneBytes, totalBytes };
  } finally {
    await target.close();
  }
}

async function* dataRuns(file: NativeBlockFile): AsyncGenerator<{ offset: number; lengthBytes: number }> {
  for (let offset = 0; offset < file.sizeBytes; ) {
    const runs = await file.extents(offset, file.sizeBytes - offset, runCount);
    for (let index = 0; index + 1 < runs.length; index += 2) {
      const lengthBytes = runs[index] ?? 0;
      if (runs[index + 1] === 0) yield { offset, lengthBytes };
      offset += lengthBytes;
    }
  }
}

async function dataBytesOf(file: NativeBlockFile): Promise<number> {
  let totalBytes = 0;
  for await (const { lengthBytes } of dataRuns(file)) totalBytes += lengthBytes;
  return totalBytes;
}

/** Others write to this disk, too: to fill it up first and fail then would fail them. */
async function checkRoom(to: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(to));
  if (bavail * bsize > neededBytes) return;
  throw new CopseError(
    'ENOSPC',
    `${to}: a copy takes ${formatSize(neededBytes)}, the disk has ${formatSize(bavail * bsize)} free: make room`,
  );
}

function spaceError(error: unknown, to: string): unknown {
  if (errorCode(error) !== 'ENOSPC' || error instanceof CopseError) return error;
  return new CopseError('ENOSPC', `${to}: the disk became full meanwhile: make room`, { cause: error });
}
