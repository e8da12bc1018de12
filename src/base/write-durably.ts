/**
 * Writes files of any length, whole or not at all, without holding up the event loop.
 * `replace-file.ts` is for small ones.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes beside the path, syncs, takes the path's place, syncs the directory. A reader of the path
 * sees the old file or all of the new one.
 *
 * @param mode permission bits of the new file
 * @throws errors of the operating system as they are; nothing is left behind then
 */
export async function writeDurably(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporaryPath = `${path}.${randomBytes(6).toString('hex')}.new`;
  try {
    const handle = await open(temporaryPath, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporaryPath, path);
  } catch (error) {
    await rm(temporaryPath, { force: true });
    throw error;
  }
  const dir = await open(dirname(path), 'r');
  try {
    await dir.sync();
  } finally {
    await dir.close();
  }
}
