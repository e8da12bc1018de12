/** File systems of a test's own. They take root, loop devices and mkfs; where those are missing the reason to skip is told. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { errorMessage } from '../../../src/base/error.js';
import { shortDir } from '../../support/short-dir.js';

/** The least that mkfs.xfs takes is 300 MiB. */
const imageBytes = 320 * 1024 * 1024;
const packages = { xfs: 'xfsprogs', btrfs: 'btrfs-progs' };

async function mounted(t: Test, args: string[], mountPoint: string): Promise<void> {
  await execa('mount', [...args, mountPoint]);
  t.teardown(() => execa('umount', ['--lazy', mountPoint]));
}

/** A file system with reflinks in a sparse file; or why there is none. */
export async function reflinkDisk(t: Test, kind: keyof typeof packages): Promise<{ path: string } | { skip: string }> {
  const dir = shortDir(t);
  const image = join(dir, 'image');
  const path = join(dir, 'mount');
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, imageBytes);
  try {
    await execa(`mkfs.${kind}`, ['-q', image]);
    await mounted(t, ['-o', 'loop', image], path);
    return { path };
  } catch (error) {
    return { skip: `no ${kind} here (package ${packages[kind]}, root, a loop device): ${errorMessage(error).split('\n')[0]}` };
  }
}

/** A tmpfs of so many bytes; or why there is none. */
export async function smallDisk(t: Test, sizeBytes: number): Promise<{ path: string } | { skip: string }> {
  if (process.getuid?.() !== 0) return { skip: 'mounting takes root' };
  const path = shortDir(t);
  await mounted(t, ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'copse-test'], path);
  return { path };
}
