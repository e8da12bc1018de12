/** The addon's range lock by itself, in a program of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
/** In the source tree: tsc copies no C++. Seen from dist/test/base. */
const sourceOf = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

t.test('overlapping ranges have their turns in order, others never wait, and none is held twice', async (t) => {
  const program = join(t.testdir(), 'range-lock');
  const sources = [sourceOf('test/base/range-lock.cc'), sourceOf('native/core/range_lock.cc')];
  await run('g++', ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread', '-o', program, ...sources]);
  const { stdout } = await run(program, [], { timeout: 60_000 });
  t.same(stdout.trim().split('\n'), ['apart 1', 'over 0', 'behind 0', 'free 1', 'behind still 0', 'waiting 0', 'lost 0']);
});
