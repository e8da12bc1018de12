/** A disk's files: made, found again, switched, grown, removed; and what is wrong with them set aside. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import { GiB } from '../../../src/base/size.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { formatMapHeader, mapHeaderBytes, readMapHeader } from '../../../src/disk/folder/map-header.js';
import { contentOf, filesIn, keptLog, owned, sampleBytes, sampleRecord, writeBlocks } from './sample.js';

/** Allocated bytes of a directory and all below it. */
function spaceOf(path: string): number {
  return Number(execFileSync('du', ['-s', '--block-size=1', path], { encoding: 'utf8' }).split('\t')[0]);
}

t.test('a disk over 100 GiB takes next to nothing', async (t) => {
  const dir = t.testdir();
  const record = sampleRecord(100 * GiB);
  const start = process.hrtime.bigint();
  const folder = await DiskFolder.create(dir, record, owned);
  t.comment(`created in ${Number(process.hrtime.bigint() - start) / 1e6} ms`);
  t.ok(spaceOf(folder.path) < 1024 * 1024, `${spaceOf(folder.path)} bytes`);
  t.same(
    filesIn(dir),
    ['disk.json', 'map-1', 'overlay.data', 'owner.json'].map((name) => join(record.uuid, name)),
  );
  t.equal(statSync(folder.path).mode & 0o777, 0o700);
  for (const file of filesIn(folder.path)) t.equal(statSync(join(folder.path, file)).mode & 0o777, 0o600, file);
  t.match(readFileSync(join(folder.path, 'map-1'), 'utf8').split('\n')[0], '{"copse":"overlay","format":1,');
});

t.test('it is there again as it was', async (t) => {
  const dir = t.testdir();
  const record = sampleRecord();
  const folder = await DiskFolder.create(dir, record, owned);
  await writeBlocks(folder, 3, 2, 7);
  const [found, ...others] = DiskFolder.list(dir, silentLogger);
  t.same(others, []);
  t.same(found?.record, record);
  t.same(found?.state, { ...owned, map: 'map-1' });
  t.equal(found && (await contentOf(found)), `${sampleBytes} 0:0/0 3:1/7 5:0/0`);
  await t.rejects(DiskFolder.create(dir, record, owned), { code: 'ERR_DISK_EXISTS' });
});

t.test('a disk that comes from elsewhere begins with the states of its blocks', async (t) => {
  const dir = t.testdir();
  const states = new Uint8Array(sampleBytes / blockBytes);
  states.set([2, 3 | (5 << 3)], 10);
  const folder = await DiskFolder.create(dir, sampleRecord(), { ...owned, epoch: 4 }, { states });
  t.equal(folder.state.map, 'map-4');
  t.equal(await contentOf(folder), `${sampleBytes} 0:0/0 10:2/0 11:3/0 12:0/0`);
  await t.rejects(DiskFolder.create(dir, sampleRecord(), owned, { states: new Uint8Array(3) }), RangeError);
  t.same(readdirSync(dir), [folder.record.uuid], 'of a failure nothing stays');
});

t.test('sizes that no disk can have', async (t) => {
  for (const sizeBytes of [0, 4095, 4097, -4096, 2 ** 60]) {
    await t.rejects(DiskFolder.create(t.testdir(), sampleRecord(sizeBytes), owned), { code: 'ERR_SIZE' }, `${sizeBytes}`);
  }
});

t.test('a new map takes the place of the old one with the state that names it', async (t) => {
  const folder = await DiskFolder.create(t.testdir(), sampleRecord(), owned);
  const states = new Uint8Array(sampleBytes / blockBytes).fill(2);
  const again = await folder.writeMap(1, states);
  const next = await folder.writeMap(2, states);
  t.same([again, next], ['map-1-1', 'map-2']);
  t.equal(await contentOf(folder), `${sampleBytes} 0:0/0`, 'not before');
  folder.setState({ ...folder.state, epoch: 2, map: next });
  t.equal(await contentOf(folder), `${sampleBytes} 0:2/0`);
  folder.removeStaleMaps();
  t.same(filesIn(folder.path), ['disk.json', 'map-2', 'overlay.data', 'owner.json']);
  t.throws(() => folder.setState({ ...folder.state, map: 'map-9' }), { code: 'ENOENT' });
  t.equal(folder.state.map, 'map-2');
  t.same(new DiskFolder(folder.path, silentLogger).state, folder.state);
});

t.test('a state that names an unknown kind of map is refused and changes nothing', async (t) => {
  const folder = await DiskFolder.create(t.testdir(), sampleRecord(), owned);
  const before = folder.state;
  t.throws(() => folder.setState({ ...before, map: 'disk.json' }));
  t.same([folder.state, new DiskFolder(folder.path, silentLogger).state], [before, before]);
});

t.test('resize', async (t) => {
  const folder = await DiskFolder.create(t.testdir(), sampleRecord(), owned);
  await writeBlocks(folder, 599, 1, 9);
  await folder.resize(sampleBytes + 500 * blockBytes);
  const grown = `${sampleBytes + 500 * blockBytes} 0:0/0 599:1/9 600:0/0`;
  t.equal(await contentOf(folder), grown);
  const again = new DiskFolder(folder.path, silentLogger);
  t.equal(await contentOf(again), grown);
  t.match(JSON.parse(readFileSync(join(folder.path, 'disk.json'), 'utf8')), { sizeBytes: folder.record.sizeBytes }, 'people read it, too');
  await t.rejects(folder.resize(sampleBytes), { code: 'ERR_SIZE' });
  await t.rejects(folder.resize(folder.record.sizeBytes + 1), { code: 'ERR_SIZE' });
  t.equal(await contentOf(folder), grown);
});

t.test('a size that the file system has no files of changes nothing', async (t) => {
  const folder = await DiskFolder.create(t.testdir(), sampleRecord(), owned);
  await t.rejects(folder.resize(2 ** 53 - blockBytes), { code: 'EFBIG' });
  t.equal(folder.record.sizeBytes, sampleBytes);
  t.equal(await contentOf(new DiskFolder(folder.path, silentLogger)), `${sampleBytes} 0:0/0`);
});

t.test('remove', async (t) => {
  const dir = t.testdir();
  const folder = await DiskFolder.create(dir, sampleRecord(), owned);
  await folder.remove();
  t.same(readdirSync(dir), []);
  await folder.remove();
});

t.test('a start clears what a crash left, and nothing else', async (t) => {
  const dir = join(t.testdir(), 'made', 'when', 'missing');
  t.same(DiskFolder.list(dir, silentLogger), []);
  const folder = await DiskFolder.create(dir, sampleRecord(), owned);
  const { uuid } = sampleRecord();
  for (const name of [`${uuid}.new`, `${uuid}.gone`, 'lost+found', 'notes.new']) mkdirSync(join(dir, name));
  for (const name of ['map-1-1', 'map-7', 'overlay-3.data', 'owner.json.new', 'disk.json.new', 'notes'])
    writeFileSync(join(folder.path, name), '?');
  for (const name of ['a.data', 'a.map', 'a.json.new']) writeFileSync(join(folder.path, 'snapshot', name), '?');
  t.equal(DiskFolder.list(dir, silentLogger).length, 1);
  t.same(readdirSync(dir).sort(), [folder.record.uuid, 'lost+found', 'notes.new'].sort());
  t.same(filesIn(folder.path), ['disk.json', 'map-1', 'notes', 'overlay.data', 'owner.json']);
});

t.test('a disk that is broken is set aside untouched, and others go on', async (t) => {
  const breakers: Record<string, (path: string) => void> = {
    'no record': (path) => rmSync(join(path, 'disk.json')),
    'a record that is no JSON': (path) => writeFileSync(join(path, 'disk.json'), '{'),
    'no owner': (path) => rmSync(join(path, 'owner.json')),
    'an owner of another version': (path) =>
      writeFileSync(join(path, 'owner.json'), readFileSync(join(path, 'owner.json'), 'utf8').replace('"format": 1', '"format": 2')),
    'no map': (path) => rmSync(join(path, 'map-1')),
    'no data': (path) => rmSync(join(path, 'overlay.data')),
    'a map that was cut off': (path) => truncateSync(join(path, 'map-1'), 4096 + 512),
    'data that were cut off': (path) => truncateSync(join(path, 'overlay.data'), sampleBytes - 1),
    "another disk's map": (path) => overwrite(join(path, 'map-1'), formatMapHeader({ uuid: sampleRecord().uuid, sizeBytes: sampleBytes })),
    'a map of a larger disk': (path) =>
      overwrite(join(path, 'map-1'), formatMapHeader({ uuid: path.slice(-36), sizeBytes: 2 * sampleBytes })),
    'a map without a header': (path) => overwrite(join(path, 'map-1'), Buffer.alloc(mapHeaderBytes)),
    'a path for a map': (path) =>
      writeFileSync(join(path, 'owner.json'), readFileSync(join(path, 'owner.json'), 'utf8').replace('"map-1"', '"../map-1"')),
  };
  for (const [what, damage] of Object.entries(breakers)) {
    const dir = t.testdir();
    const good = await DiskFolder.create(dir, sampleRecord(), owned);
    const bad = await DiskFolder.create(dir, sampleRecord(), owned);
    damage(bad.path);
    writeFileSync(join(bad.path, 'map-1-1'), 'perhaps of use to who repairs it');
    const files = filesIn(bad.path);
    const { log, lines } = keptLog();
    t.same(
      DiskFolder.list(dir, log).map(({ path }) => path),
      [good.path],
      what,
    );
    t.match(lines, [{ fields: { disk: bad.path, code: 'ERR_DISK_BROKEN', reason: /\w/ }, text: /repair.*start again/ }]);
    t.same(filesIn(bad.path), files);
    t.throws(() => new DiskFolder(bad.path, silentLogger), { code: 'ERR_DISK_BROKEN' });
    await t.rejects(DiskFolder.create(dir, bad.record, owned), { code: 'ERR_DISK_EXISTS' }, 'and never overwritten');
  }
});

t.test('a folder under another name is no disk: it may be a copy', async (t) => {
  const dir = t.testdir();
  const folder = await DiskFolder.create(dir, sampleRecord(), owned);
  renameSync(folder.path, join(dir, sampleRecord().uuid));
  const { log, lines } = keptLog();
  t.same(DiskFolder.list(dir, log), []);
  t.equal(lines.length, 1);
});

t.test('a rotten map is found when the overlay is opened', async (t) => {
  const folder = await DiskFolder.create(t.testdir(), sampleRecord(), owned);
  await writeBlocks(folder, 0, 1, 1);
  overwrite(join(folder.path, 'map-1'), Buffer.from([2]), mapHeaderBytes + 1);
  t.throws(() => new DiskFolder(folder.path, silentLogger).openOverlay(), { code: 'ERR_DISK_BROKEN' });
});

t.test("a map's header", async (t) => {
  const path = join(t.testdir(), 'map');
  const { uuid } = sampleRecord();
  writeFileSync(path, formatMapHeader({ uuid, sizeBytes: 2 ** 53 - 4096 }));
  t.equal(statSync(path).size, mapHeaderBytes);
  t.match(readMapHeader(path), { uuid, sizeBytes: 2 ** 53 - 4096 });
  for (const text of ['', '{}', 'null', '{"copse":"overlay","format":2}']) {
    writeFileSync(path, text.padEnd(mapHeaderBytes));
    t.equal(readMapHeader(path), undefined, text);
  }
  t.throws(() => readMapHeader(`${path}-none`), { code: 'ENOENT' });
  t.notOk(existsSync(`${path}-none`));
});

function overwrite(path: string, bytes: Buffer, offset = 0): void {
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, offset);
  closeSync(descriptor);
}
