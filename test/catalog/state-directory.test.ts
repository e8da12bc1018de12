/** Who may use a state directory, and which. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { StateDirectory } from '../../src/catalog/state-directory.js';

t.test('it is made with all that belongs in it, for its user alone', async (t) => {
  const path = join(t.testdir(), 'var', 'copse');
  const state = new StateDirectory(path);
  t.after(() => state.close());
  for (const dir of [path, state.catalogDir, state.cacheDir, state.manifestDir, state.runDir])
    t.equal(statSync(dir).mode & 0o777, 0o700, dir);
  t.equal(readFileSync(join(path, 'format'), 'utf8'), 'copse-state 1\n');
  t.equal(readFileSync(join(path, 'lock'), 'utf8'), `${process.pid}\n`);
});

t.test('what was kept is there again; private sockets are not', async (t) => {
  const path = t.testdir();
  const state = new StateDirectory(path);
  writeFileSync(join(state.cacheDir, 'a.map'), 'kept');
  writeFileSync(join(state.runDir, 'old.sock'), 'stale');
  state.close();
  const again = new StateDirectory(path);
  t.after(() => again.close());
  t.equal(readFileSync(join(again.cacheDir, 'a.map'), 'utf8'), 'kept');
  t.notOk(existsSync(join(again.runDir, 'old.sock')));
});

t.test('one at a time: the second is told who has it', async (t) => {
  const path = t.testdir();
  const state = new StateDirectory(path);
  t.throws(() => new StateDirectory(path), { code: 'ERR_STATE_LOCKED', message: new RegExp(`pid ${process.pid}\\b`) });
  const other = new URL('../../src/catalog/state-directory.js', import.meta.url).href;
  const script = `const { StateDirectory } = await import(${JSON.stringify(other)}); try { new StateDirectory(${JSON.stringify(path)}) } catch (error) { console.log(error.code) }`;
  t.equal((await execa(process.execPath, ['--input-type=module', '-e', script])).stdout, 'ERR_STATE_LOCKED', 'another process');
  state.close();
  const next = new StateDirectory(path);
  next.close();
});

t.test('a process that is killed lets go', async (t) => {
  const path = t.testdir();
  const other = new URL('../../src/catalog/state-directory.js', import.meta.url).href;
  const script = `const { StateDirectory } = await import(${JSON.stringify(other)}); new StateDirectory(${JSON.stringify(path)}); process.kill(process.pid, 'SIGKILL')`;
  const { signal } = await execa(process.execPath, ['--input-type=module', '-e', script], { reject: false });
  t.equal(signal, 'SIGKILL');
  t.not(readFileSync(join(path, 'lock'), 'utf8'), `${process.pid}\n`);
  const state = new StateDirectory(path);
  state.close();
});

t.test('another version is left alone, and can be opened by whoever reads it', async (t) => {
  const path = t.testdir({ format: 'copse-state 2\n', run: { precious: 'x' } });
  t.throws(() => new StateDirectory(path), { code: 'ERR_STATE_VERSION' });
  t.ok(existsSync(join(path, 'run', 'precious')));
  writeFileSync(join(path, 'format'), 'copse-state 1\n');
  new StateDirectory(path).close();
});

t.test('an empty format is written again, unless there is something strange', async (t) => {
  for (const text of ['', '\n', '\0'.repeat(14)]) {
    const path = t.testdir({ format: text, catalog: {}, 'node.json': '{}' });
    new StateDirectory(path).close();
    t.equal(readFileSync(join(path, 'format'), 'utf8'), 'copse-state 1\n');
  }
  const path = t.testdir({ format: '', layer: {} });
  t.throws(() => new StateDirectory(path), { code: 'ERR_STATE_VERSION', message: /layer/ });
  t.equal(readFileSync(join(path, 'format'), 'utf8'), '');
});

t.test('what can not be a state directory', async (t) => {
  const dir = t.testdir({ file: 'not a directory', strange: {} });
  t.throws(() => new StateDirectory(join(dir, 'file')), { code: 'ERR_STATE' });
  t.throws(() => new StateDirectory(join(dir, 'file', 'below')), { code: 'ERR_STATE' });
  mkdirSync(join(dir, 'strange', 'format'));
  t.throws(() => new StateDirectory(join(dir, 'strange')), { code: 'ERR_STATE' });
});
