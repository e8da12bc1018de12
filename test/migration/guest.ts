/** The guest that is moved: the kernel and modules of the migrations' bench, and its own init and program, made once for each state of their sources. */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { benchCacheDir, packageRoot } from '../bench/harness/place.js';
import { buildGuest as buildBenchGuest, type Guest } from '../bench/migration/lab/guest.js';
import { recordsOffset, slotCount } from './record.js';

const sourceDir = join(packageRoot, 'test/migration/guest');

export async function buildGuest(): Promise<Guest> {
  const cacheDir = join(benchCacheDir(), 'migration');
  const below = await buildBenchGuest(cacheDir);
  const hash = createHash('sha256').update(`${below.initrdPath} ${recordsOffset} ${slotCount}`);
  for (const name of ['init', 'scribe.c']) hash.update(await readFile(join(sourceDir, name)));
  const initrdPath = join(cacheDir, `scribe-${hash.digest('hex').slice(0, 12)}`);
  if ((await stat(initrdPath).catch(() => undefined)) === undefined) await buildInitrd(below.initrdPath, initrdPath);
  return { kernelPath: below.kernelPath, initrdPath };
}

/** One archive after the other: the kernel unpacks both, and what comes later replaces what was there. */
async function buildInitrd(belowPath: string, initrdPath: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'copse-scribe-'));
  try {
    const root = join(work, 'root');
    await mkdir(join(root, 'bin'), { recursive: true });
    await cp(join(sourceDir, 'init'), join(root, 'init'));
    await writeFile(join(root, 'layout'), `${recordsOffset} ${slotCount}\n`);
    await execa('gcc', ['-static', '-O2', '-Wall', '-pthread', '-o', join(root, 'bin', 'scribe'), join(sourceDir, 'scribe.c')]);
    await execa('chmod', ['755', join(root, 'init')]);
    const names = ['init', 'layout', 'bin', 'bin/scribe'].join('\n');
    const { stdout } = await execa('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: root, input: `${names}\n`, encoding: 'buffer' });
    const below = await readFile(belowPath);
    const padding = Buffer.alloc((4 - (below.length % 4)) % 4);
    // Whole or not at all: several tests may build it at once.
    const ownPath = join(work, basename(initrdPath));
    await writeFile(ownPath, Buffer.concat([below, padding, stdout]));
    await cp(ownPath, `${initrdPath}.${process.pid}`);
    await rename(`${initrdPath}.${process.pid}`, initrdPath);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
