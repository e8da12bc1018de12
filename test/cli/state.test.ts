import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { native } from '../../src/base/native/loader.js';
import { StateDirectory } from '../../src/catalog/state-directory.js';
import { upgradeLockName } from '../../src/catalog/upgrade/kept.js';
import { runShared } from './run.js';

const kept = { 'before-0.2.0': { 'disk-notes.json': '12345', disk: { a: { 'owner.json': '123' } } }, 'before-0.3.0': { x: '1' } };

t.test('state forget removes what upgrades kept, and nothing else', async (t) => {
  const dir = t.testdir({ format: 'copse-state 1\n', 'disk-notes.json': '{}', ...kept });
  const result = await runShared(['state', 'forget', '--state', dir]);
  t.equal(result.exitCode, 0, result.stderr);
  t.match(result.stdout, /^removed .*before-0\.2\.0: 2 files, 8 B$/m);
  t.match(result.stdout, /^removed .*before-0\.3\.0: 1 file, /m);
  t.same(readdirSync(dir).sort(), ['disk-notes.json', 'format', 'upgrade.lock']);
  const again = await runShared(['state', 'forget', '--state', dir]);
  t.same([again.exitCode, again.stdout], [0, `nothing is kept in ${dir}\n`.trimEnd()]);
});

t.test('state forget --json, with the state directory of a configuration', async (t) => {
  const dir = t.testdir({ state: { format: 'copse-state 1\n', ...kept } });
  const state = join(dir, 'state');
  writeFileSync(join(dir, 'copse.toml'), `state = "${state}"\n`);
  const forget = ['state', 'forget', '--config', join(dir, 'copse.toml'), '--json'];
  const first = JSON.parse((await runShared(forget)).stdout) as unknown;
  t.same(first, {
    stateDir: state,
    removed: [
      { version: '0.2.0', path: join(state, 'before-0.2.0'), fileCount: 2, sizeBytes: 8 },
      { version: '0.3.0', path: join(state, 'before-0.3.0'), fileCount: 1, sizeBytes: 1 },
    ],
  });
  t.same(JSON.parse((await runShared(forget)).stdout), { stateDir: state, removed: [] });
});

t.test('state forget while a daemon has the directory; not while files are replaced', async (t) => {
  const dir = t.testdir({ format: 'copse-state 1\n', ...kept });
  const state = new StateDirectory(dir);
  t.teardown(() => state.close());
  const descriptor = native.lockFile(join(dir, upgradeLockName));
  const busy = await runShared(['state', 'forget', '--state', dir, '--json']);
  native.unlockFile(descriptor);
  t.match(JSON.parse(busy.stdout), { error: { code: 'ERR_STATE_LOCKED' } });
  t.ok(existsSync(join(dir, 'before-0.2.0', 'disk-notes.json')));
  t.equal((await runShared(['state', 'forget', '--state', dir])).exitCode, 0);
  t.notOk(existsSync(join(dir, 'before-0.2.0')));
});

t.test('state forget leaves a directory alone that is no state directory', async (t) => {
  const dir = t.testdir(kept);
  for (const wrong of [dir, join(dir, 'missing')]) {
    const result = await runShared(['state', 'forget', '--state', wrong, '--json']);
    t.equal(result.exitCode, 1);
    t.match(JSON.parse(result.stdout), { error: { code: 'ERR_STATE' } });
  }
  t.ok(existsSync(join(dir, 'before-0.2.0', 'disk-notes.json')));
});
