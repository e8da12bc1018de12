/** Steps between formats of files in a state directory: in order, kept, killed at any moment, refused. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { version } from '../../../src/base/version.js';
import { StateDirectory } from '../../../src/catalog/state-directory.js';
import { listKept } from '../../../src/catalog/upgrade/kept.js';
import type { FileKind, Step } from '../../../src/catalog/upgrade/step.js';
import { fileKinds } from '../../../src/catalog/upgrade/table.js';
import { upgradeState } from '../../../src/catalog/upgrade/upgrade.js';
import { readVersionRecord } from '../../../src/catalog/upgrade/version-record.js';
import { record } from '../../disk/folder/steps.js';

const log = silentLogger;
const fence = { client: 'unix:1:1', by: 'x', at: '2026-11-28T12:00:00.000Z' };
const uuid = '0b64ee5d-2a0a-4a58-a68f-000000000001';
/** Notes as 0.1.0 writes them. */
const oldNotes = JSON.stringify({ format: 1, fences: { [uuid]: [fence] }, refused: { [uuid]: 3 }, held: { [uuid]: 2 }, writers: {} });

/** Text files that begin with `FORMAT:`; each step adds its number at the end. */
function letters(steps: number, change: (step: number) => Step = adding): FileKind {
  return {
    name: 'letters',
    paths: (dir) => (existsSync(join(dir, 'letters')) ? readdirSync(join(dir, 'letters')).map((name) => `letters/${name}`) : []),
    formatOf: (bytes) => Number(bytes.toString().split(':')[0]),
    steps: Array.from({ length: steps }, (_, index) => change(index + 1)),
  };
}

function adding(step: number): Step {
  return (bytes) => Buffer.from(`${step + 1}:${bytes.toString().slice(2)}${step}`);
}

function failing(step: number): Step {
  return step === 2
    ? () => {
        throw new Error('no way');
      }
    : adding(step);
}

function text(...path: string[]): string {
  return readFileSync(join(...path), 'utf8');
}

t.test('a state of 0.1.0 is brought to the formats of this version', async (t) => {
  const path = t.testdir({ format: 'copse-state 1\n', 'disk-notes.json': oldNotes });
  new StateDirectory(path).close();
  t.same(JSON.parse(text(path, 'disk-notes.json')), { ...JSON.parse(oldNotes), granted: {}, forced: {} });
  t.equal(text(path, `before-${version}`, 'disk-notes.json'), oldNotes);
  t.same(readVersionRecord(path), { version, formats: { 'disk-notes': 2 } });
  t.match(listKept(path), [{ version, fileCount: 1, sizeBytes: oldNotes.length }]);
  const upgraded = text(path, 'disk-notes.json');
  new StateDirectory(path).close();
  t.equal(text(path, 'disk-notes.json'), upgraded, 'a second start changes nothing');
});

t.test('0.1.0 may have written the notes again in between', async (t) => {
  const path = t.testdir({ format: 'copse-state 1\n', 'disk-notes.json': oldNotes });
  new StateDirectory(path).close();
  const rewritten = oldNotes.replace('"refused":{', '"refused":{"a":4,');
  writeFileSync(join(path, 'disk-notes.json'), rewritten);
  new StateDirectory(path).close();
  t.match(JSON.parse(text(path, 'disk-notes.json')), { refused: { a: 4 }, granted: {} });
  t.equal(text(path, `before-${version}`, 'disk-notes.json'), rewritten, 'the file that was replaced last is kept');
});

t.test('a new state directory has the record and keeps nothing', async (t) => {
  const path = join(t.testdir(), 'state');
  new StateDirectory(path).close();
  t.same(readVersionRecord(path)?.version, version);
  t.same(listKept(path), []);
});

t.test('a start that is killed at any moment is repeated by the next one', async (t) => {
  const place = t.testdir({ state: { format: 'copse-state 1\n', 'disk-notes.json': oldNotes }, crashes: {} });
  const path = join(place, 'state');
  const { crashes, order } = await record(path, join(place, 'crashes'), async () => new StateDirectory(path).close());
  t.ok(crashes.length > 15, `${crashes.length} moments`);
  const steps = order
    .filter((entry) => /version|disk-notes|^sync before/.test(entry))
    .filter((entry, index, all) => entry !== all[index - 1]);
  t.same(
    steps,
    [
      ...['sync version.new', 'rename version.new version'],
      ...['sync disk-notes.json.new', 'rename disk-notes.json.new disk-notes.json', `sync before-${version}`],
      ...['sync disk-notes.json.new', 'rename disk-notes.json.new disk-notes.json'],
    ],
    'the record, then the kept file, then its successor',
  );
  const [want, kept] = [text(path, 'disk-notes.json'), `before-${version}/disk-notes.json`];
  for (const crash of crashes) {
    const found = text(crash, 'disk-notes.json');
    if (found !== oldNotes && found !== want) t.fail(`neither old nor new: ${crash}`);
    if (found === want && text(crash, kept) !== oldNotes) t.fail(`replaced before it was kept: ${crash}`);
    new StateDirectory(crash).close();
    if (text(crash, 'disk-notes.json') !== want) t.fail(`not brought to this format: ${crash}`);
    if (text(crash, kept) !== oldNotes) t.fail(`not kept: ${crash}`);
  }
});

t.test('two steps in a row over several files, killed at any moment', async (t) => {
  const place = t.testdir({ state: { letters: { a: '1:a', b: '2:b', c: '3:c' } }, crashes: {} });
  const options = { log, version: '9.1.0', kinds: [letters(2)] };
  const path = join(place, 'state');
  const { crashes } = await record(path, join(place, 'crashes'), async () => upgradeState(path, options));
  for (const dir of [path, ...crashes]) {
    upgradeState(dir, options);
    const found = ['a', 'b', 'c'].map((name) => text(dir, 'letters', name));
    if (found.join() !== '3:a12,3:b2,3:c') t.fail(`${dir}: ${found.join()}`);
    if (text(dir, 'before-9.1.0/letters/a') !== '1:a' || text(dir, 'before-9.1.0/letters/b') !== '2:b') t.fail(`not kept: ${dir}`);
    if (existsSync(join(dir, 'before-9.1.0/letters/c'))) t.fail(`kept without a change: ${dir}`);
  }
  t.ok(crashes.length > 20, `${crashes.length} moments`);
});

t.test('an error of the host in any call ends the start, and the next one goes on', async (t) => {
  const fs = (await import('node:fs')).default;
  const { syncBuiltinESMExports } = await import('node:module');
  const names = ['mkdirSync', 'openSync', 'renameSync', 'writeFileSync', 'fsyncSync'] as const;
  let failures = 0;
  for (const name of names) {
    for (let nth = 1; ; nth += 1) {
      const path = t.testdir({ format: 'copse-state 1\n', 'disk-notes.json': oldNotes });
      const call = fs[name] as (...args: unknown[]) => unknown;
      let left = nth;
      Reflect.set(fs, name, (...args: unknown[]) => {
        left -= 1;
        if (left === 0) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
        return call(...args);
      });
      syncBuiltinESMExports();
      let failed = false;
      try {
        new StateDirectory(path).close();
      } catch {
        failed = true;
      } finally {
        Reflect.set(fs, name, call);
        syncBuiltinESMExports();
      }
      if (left > 0) break;
      failures += failed ? 1 : 0;
      new StateDirectory(path).close();
      if (JSON.parse(text(path, 'disk-notes.json')).refused[uuid] !== 3) t.fail(`${name} ${nth}: a note is lost`);
      if (text(path, `before-${version}/disk-notes.json`) !== oldNotes) t.fail(`${name} ${nth}: not kept`);
    }
  }
  t.ok(failures > 10, `${failures} starts failed`);
});

t.test('a full disk keeps no daemon from its start while no file changes', async (t) => {
  const fs = (await import('node:fs')).default;
  const { syncBuiltinESMExports } = await import('node:module');
  const path = t.testdir({ format: 'copse-state 1\n', catalog: {}, cache: {}, manifest: {}, disk: {}, run: {} });
  const { writeFileSync: write } = fs;
  fs.writeFileSync = (file, ...rest) => {
    if (String(file).endsWith('.new')) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    write(file, ...rest);
  };
  syncBuiltinESMExports();
  try {
    new StateDirectory(path).close();
  } finally {
    fs.writeFileSync = write;
    syncBuiltinESMExports();
  }
  t.equal(readVersionRecord(path), undefined);
  new StateDirectory(path).close();
  t.equal(readVersionRecord(path)?.version, version);
});

t.test('a step that fails changes nothing, and names the file and the way back', async (t) => {
  const files = { letters: { a: '1:a', b: '2:b' }, version: '{"version":"8.0.0","formats":{"letters":2}}' };
  const path = t.testdir(files);
  const before = readdirSync(path, { recursive: true });
  t.throws(() => upgradeState(path, { log, version: '9.1.0', kinds: [letters(2, failing)] }), {
    code: 'ERR_STATE_UPGRADE',
    message: /letters\/a can't be brought from format 2 to 3: no way; nothing was changed: use copse 8\.0\.0 again/,
  });
  t.same(readdirSync(path, { recursive: true }), before);
  t.equal(text(path, 'version'), files.version);
  t.equal(text(path, 'letters', 'b'), '2:b');
  upgradeState(path, { log, version: '8.0.0', kinds: [letters(1)] });
  t.equal(text(path, 'letters', 'a'), '2:a1', 'the version before opens it');
});

t.test('a step that does not make the format it should is an error', async (t) => {
  const path = t.testdir({ letters: { a: '1:a' } });
  const kinds = [letters(1, () => (bytes) => bytes)];
  t.throws(() => upgradeState(path, { log, version: '9.1.0', kinds }), { code: 'ERR_STATE_UPGRADE' });
});

t.test('a newer state is refused with the version that wrote it', async (t) => {
  const newer = [{ letters: 4 }, { letters: 3, numbers: 1 }];
  for (const formats of newer) {
    const path = t.testdir({ letters: { a: '1:a' }, version: JSON.stringify({ version: '9.9.9', formats, more: true }) });
    t.throws(() => upgradeState(path, { log, version: '9.1.0', kinds: [letters(2)] }), {
      code: 'ERR_STATE_VERSION',
      message: /copse 9\.9\.9/,
    });
    t.equal(text(path, 'letters', 'a'), '1:a');
  }
  const path = t.testdir({ letters: { a: '4:a' } });
  t.throws(() => upgradeState(path, { log, version: '9.1.0', kinds: [letters(2)] }), { code: 'ERR_STATE_VERSION', message: /letters\/a/ });
  const layout = t.testdir({ format: 'copse-state 2\n', version: '{"version":"9.9.9","formats":{"x":1}}' });
  t.throws(() => new StateDirectory(layout), { code: 'ERR_STATE_VERSION', message: /copse 9\.9\.9/ });
  const notes = t.testdir({ 'disk-notes.json': oldNotes.replace('"format":1', '"format":2') });
  t.throws(() => new StateDirectory(notes), { code: 'ERR_STATE_VERSION', message: /disk-notes\.json/ });
});

t.test('another version with the same formats opens the state, and leaves its own name', async (t) => {
  const path = t.testdir({ version: '{"version":"9.9.9","formats":{"letters":3}}' });
  upgradeState(path, { log, version: '9.1.0', kinds: [letters(2)] });
  t.equal(readVersionRecord(path)?.version, '9.1.0');
});

t.test('a damaged record or file is no reason to guess', async (t) => {
  for (const broken of ['', '{', '{"version":1}']) {
    t.throws(() => new StateDirectory(t.testdir({ version: broken })), { code: 'ERR_STATE' });
  }
  const path = t.testdir({ 'disk-notes.json': '{' });
  new StateDirectory(path).close();
  t.equal(text(path, 'disk-notes.json'), '{', 'its reader reports it');
});

t.test('each kind has its own name', async (t) => {
  t.equal(new Set(fileKinds.map(({ name }) => name)).size, fileKinds.length);
});
