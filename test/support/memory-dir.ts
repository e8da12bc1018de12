/**
 * Directories in memory (tmpfs), where a sync costs nothing. For the state of tests that do not test durability: after a
 * kill the files are there as they would be on a disk.
 *
 * A place counts if the user may write to it and it has 1 GiB free; containers often have a /dev/shm of 64 MiB. Without
 * one the directory lies with other temporary files.
 */
import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** TMPFS_MAGIC of statfs(2). */
const tmpfsType = 0x0102_1994;
const wantedBytes = 2 ** 30;

/** @returns the parent for such directories */
export function memoryPlace(): string {
  return ['/dev/shm', process.env['XDG_RUNTIME_DIR'] ?? ''].find(isFit) ?? tmpdir();
}

/** @returns the path of a new directory; it goes with the test */
export function memoryDir(t: Test, prefix: string): string {
  const path = mkdtempSync(join(memoryPlace(), prefix));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function isFit(path: string): boolean {
  if (path === '') return false;
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    const { type, bavail, bsize } = statfsSync(path);
    return type === tmpfsType && bavail * bsize >= wantedBytes;
  } catch {
    return false;
  }
}
