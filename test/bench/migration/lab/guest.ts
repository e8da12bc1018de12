/** The guest's kernel and initrd, made once for each state of its sources. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { MiB } from '../../../../src/base/size.js';
import { packageRoot } from '../../harness/place.js';

export interface Guest {
  kernelPath: string;
  initrdPath: string;
}

/** The part of the disk in which the guest writes its records. */
export const recordsOffset = 16 * MiB;
export const recordsBytes = 8 * MiB;

const sourceDir = join(packageRoot, 'test/bench/migration/guest');

/** @param cacheDir where it is kept */
export async function buildGuest(cacheDir: string): Promise<Guest> {
  const { stdout } = await execa(join(packageRoot, 'examples/demo/cached-disk'), ['minimal'], { stderr: 'inherit' });
  const demoDisk = stdout.trim();
  const hash = createHash('sha256').update(basename(demoDisk));
  for (const name of ['build', 'init', 'writer.c']) hash.update(await readFile(join(sourceDir, name)));
  const dir = join(cacheDir, `guest-${hash.digest('hex').slice(0, 12)}`);
  const guest = { kernelPath: join(dir, 'vmlinuz'), initrdPath: join(dir, 'initrd') };
  const isThere = await stat(guest.initrdPath).catch(() => undefined);
  if (isThere === undefined) await execa(join(sourceDir, 'build'), [demoDisk, String(recordsOffset), dir]);
  return guest;
}
