/** The catalog on disk: what is there after a restart, after damage, after a crash in the middle of a change. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { ImageCatalog } from '../../src/catalog/image-catalog.js';
import { record } from './record.js';

t.test('what was put is there for the next who opens it, sorted, and what was removed is not', async (t) => {
  const dir = t.testdir();
  const catalog = new ImageCatalog(dir, silentLogger);
  for (const name of ['b', 'os/a', 'a', 'gone']) await catalog.put(record(name));
  await catalog.put(record('a', '"y"'));
  await catalog.remove('gone');
  await catalog.remove('never there');
  for (const seen of [catalog, new ImageCatalog(dir, silentLogger)]) {
    t.same(
      seen.list().map(({ name }) => name),
      ['a', 'b', 'os/a'],
    );
    t.same(seen.get('a'), record('a', '"y"'));
    t.equal(seen.get('gone'), undefined);
  }
  t.same(readdirSync(dir).sort(), ['a.json', 'b.json', 'os%2Fa.json'], 'nothing else is left');
  t.equal(statSync(join(dir, 'a.json')).mode & 0o777, 0o600);
});

t.test('a record that is broken is left out, and left alone', async (t) => {
  const dir = t.testdir({
    'torn.json': '{"version": 1, "na',
    'empty.json': '',
    'future.json': JSON.stringify({ ...record('future'), version: 2 }),
    'list.json': '[]',
  });
  mkdirSync(join(dir, 'folder.json'));
  await new ImageCatalog(dir, silentLogger).put(record('fine'));
  const catalog = new ImageCatalog(dir, silentLogger);
  t.same(catalog.list(), [record('fine')]);
  t.equal(readFileSync(join(dir, 'torn.json'), 'utf8'), '{"version": 1, "na');
});

t.test('a change that did not come to its end leaves the old record', async (t) => {
  const dir = t.testdir();
  await new ImageCatalog(dir, silentLogger).put(record('a'));
  // As a crash between writing and renaming leaves it.
  writeFileSync(join(dir, 'a.json.new'), '{"version": 1, "name": "a", "con');
  const catalog = new ImageCatalog(dir, silentLogger);
  t.same(catalog.list(), [record('a')]);
  await catalog.put(record('a', '"y"'));
  t.same(new ImageCatalog(dir, silentLogger).list(), [record('a', '"y"')]);
  t.same(readdirSync(dir), ['a.json']);
});

t.test('a change that can not be written is not made', async (t) => {
  const dir = t.testdir();
  const catalog = new ImageCatalog(dir, silentLogger);
  await catalog.put(record('a'));
  mkdirSync(join(dir, 'a.json.new'));
  await t.rejects(catalog.put(record('a', '"y"')), { code: 'EISDIR' });
  t.same(catalog.get('a'), record('a'));
  t.same(new ImageCatalog(dir, silentLogger).get('a'), record('a'));
});

t.test('names that are longer than a file name may be are kept apart', async (t) => {
  const dir = t.testdir();
  const catalog = new ImageCatalog(dir, silentLogger);
  const names = [`${'a'.repeat(254)}b`, `${'a'.repeat(254)}c`, `x${'/y'.repeat(127)}`];
  for (const name of names) await catalog.put(record(name));
  t.same(
    new ImageCatalog(dir, silentLogger).list().map(({ name }) => name),
    names,
  );
  for (const name of names) await catalog.remove(name);
  t.same(readdirSync(dir), []);
});
