/** The storm's own directory, named after its process: removed at its end, and by the next storm when the process was killed. */
import { rmSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Closeable } from '../../../../src/base/lifecycle.js';
import { isGone, processMark } from '../../../lab/namespace.js';

export interface WorkDir extends Closeable {
  readonly path: string;
}

/** @param parentDir on a real file system, with a short path: unix sockets lie below, and their paths end at 107 bytes */
export async function makeWorkDir(parentDir: string): Promise<WorkDir> {
  await mkdir(parentDir, { recursive: true });
  for (const name of await readdir(parentDir)) {
    const [, mark] = /^s(\d+-\d+)$/.exec(name) ?? [];
    if (mark !== undefined && isGone(mark)) await rm(join(parentDir, name), { recursive: true, force: true });
  }
  const path = join(parentDir, `s${processMark()}`);
  await mkdir(path);
  process.once('exit', () => rmSync(path, { recursive: true, force: true }));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}
