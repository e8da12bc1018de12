import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';

const run = promisify(execFile);

/** What another process gets when it tries to take the lock. */
async function lockElsewhere(path: string): Promise<number> {
  const module = new URL('../../src/base/native/loader.js', import.meta.url).href;
  const script = `const { native } = await import(${JSON.stringify(module)}); console.log(native.lockFile(${JSON.stringify(path)}));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  return Number(stdout);
}

t.test('one holder at a time, in this process and in others', async (t) => {
  const path = join(t.testdir(), 'lock');
  const held = native.lockFile(path);
  t.ok(held >= 0);
  t.equal((await stat(path)).mode & 0o777, 0o600);
  t.equal(native.lockFile(path), -1);
  t.equal(await lockElsewhere(path), -1);
  native.unlockFile(held);
  t.ok((await lockElsewhere(path)) >= 0, 'free again');
  const again = native.lockFile(path);
  t.ok(again >= 0, 'the end of the other process let go of it');
  native.unlockFile(again);
});

t.test('only what lockFile gave can be given back, once', async (t) => {
  const held = native.lockFile(join(t.testdir(), 'lock'));
  native.unlockFile(held);
  t.throws(() => native.unlockFile(held), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.unlockFile(1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.unlockFile(-1), { code: 'ERR_OUT_OF_RANGE' });
});

t.test('a lock file that can not be made is an error', async (t) => {
  t.throws(() => native.lockFile(join(t.testdir(), 'missing', 'lock')), { code: 'ENOENT', syscall: 'open' });
});
