/** A disk as a new image: a raw file and its manifest. */

import { createHash } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import type { PromoteResult } from '../../admin/schema-disk.js';
import { AbortedError, CopseError, errorCode } from '../../base/error.js';
import type { JobOptions } from '../../base/job.js';
import { makeDirectorySync } from '../../base/make-directory.js';
import { native } from '../../base/native/loader.js';
import { syncDirectory } from '../../base/replace-file.js';
import { type Room, withRoom } from '../../base/room.js';
import { MiB } from '../../base/size.js';
import type { BlockDevice } from '../../device/device.js';
import { seal } from '../../manifest/seal.js';
import type { ManifestStore } from '../../manifest/store.js';

export interface PromoteOptions extends JobOptions {
  image: string;
  /** Absolute; must not exist. */
  path: string;
  chunkBytes: number;
  store: ManifestStore;
  /** Makes room on the file system of the path. */
  room: Room | undefined;
}

/** Writes the device's content to the file, zeros as holes, and makes its manifest of the same bytes. Nothing is left of what fails. */
export async function writeImage(device: BlockDevice, options: PromoteOptions): Promise<PromoteResult> {
  const { path, signal, onProgress, chunkBytes, store, image, room } = options;
  if (!isAbsolute(path)) throw new CopseError('ERR_OPTION', `${path}: give an absolute path on the daemon's host`);
  makeDirectorySync(dirname(path), 0o777);
  if (await exists(path)) throw new CopseError('ERR_OPTION', `${path} exists: choose another file, or remove it`);
  const temporaryPath = `${path}.${createHash('sha256').update(path).digest('hex').slice(0, 8)}.new`;
  const { sizeBytes } = device;
  await rm(temporaryPath, { force: true });
  const file = native.openBlockFile(temporaryPath, { write: true, create: true });
  try {
    await file.truncate(sizeBytes);
    const source = {
      async read(offset: number, lengthBytes: number, sink: { data(piece: Buffer): void }) {
        const buffer = Buffer.allocUnsafe(lengthBytes);
        await device.read(buffer, offset);
        for (let at = 0; at < lengthBytes; at += 64 * 1024) {
          const end = Math.min(lengthBytes, at + 64 * 1024);
          if (native.isZero(buffer, at, end)) continue;
          const write = (): Promise<void> => file.write(buffer, at, end - at, offset + at, false);
          await withRoom(write, { room, lengthBytes: MiB, signal });
        }
        sink.data(buffer);
      },
    };
    const manifest = await seal(
      source,
      { sizeBytes, chunkBytes },
      { signal, onProgress: (doneBytes, totalBytes) => onProgress({ doneBytes, totalBytes }) },
    );
    if (signal.aborted) throw new AbortedError(`promotion to ${image}`);
    await file.sync();
    await file.close();
    const { digest } = await store.put(manifest);
    await rename(temporaryPath, path);
    syncDirectory(dirname(path));
    return { doneBytes: sizeBytes, totalBytes: sizeBytes, image, path, manifestPath: store.pathOf(digest), digest };
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporaryPath, { force: true });
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    },
  );
}
