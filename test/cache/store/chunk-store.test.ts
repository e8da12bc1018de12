/** What cached chunks are worth after a clean end, an unclean one, and after somebody touched the files. */
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import t, { type Test } from 'tap';
import { ChunkState } from '../../../src/base/native/chunk.js';
import { ChunkStore } from '../../../src/cache/store/chunk-store.js';
import { mapHeaderBytes, readMapHeader, writeMapHeader } from '../../../src/cache/store/map-header.js';
import { removeStoreFiles } from '../../../src/cache/store/store-files.js';
import { pattern } from '../../conformance/content.js';
import { systemError } from '../faulty-store.js';
import { chunkBytes, openStore, recordSeed, storePaths } from '../subject.js';

const chunkCount = 8;
const sizeBytes = chunkCount * chunkBytes - 1000;
const content = pattern(sizeBytes, 3);
const { absent, present, zero, unverified } = ChunkState;

function chunk(index: number): Buffer {
  return content.subarray(index * chunkBytes, Math.min(sizeBytes, (index + 1) * chunkBytes));
}

/** A store with chunks 1, 2 and the short last one present, and 4 zero; the rest absent. */
async function filled(folder: string): Promise<ChunkStore> {
  const store = openStore(folder, sizeBytes);
  for (const index of [1, 2, chunkCount - 1]) await store.store(index, chunk(index));
  await store.storeZero(4);
  return store;
}

function states(store: ChunkStore): number[] {
  return Array.from({ length: store.chunkCount }, (_, index) => store.state(index));
}

async function readChunk(store: ChunkStore, index: number): Promise<Buffer | false> {
  const target = Buffer.alloc(store.lengthOf(index));
  return (await store.read(target, 0, target.length, index * chunkBytes)) && target;
}

/** What a crash leaves behind: files whose map never became clean. */
async function crashed(t: Test): Promise<string> {
  const folder = t.testdir({});
  await (await filled(folder)).close();
  const { mapPath } = storePaths(folder);
  const header = readMapHeader(mapPath);
  if (header === undefined) throw new Error('no header');
  writeMapHeader(mapPath, { ...header, clean: undefined });
  return folder;
}

function damage(folder: string, index: number): void {
  const descriptor = openSync(storePaths(folder).dataPath, 'r+');
  writeSync(descriptor, Buffer.from('rot'), 0, 3, index * chunkBytes + 77);
  closeSync(descriptor);
}

const clean = [absent, present, present, absent, zero, absent, absent, present];
const doubted = [absent, unverified, unverified, absent, zero, absent, absent, unverified];
const nothing = Array.from({ length: chunkCount }, () => absent);

t.test('a new store holds nothing; what is stored is read back and counted', async (t) => {
  const folder = t.testdir({});
  const store = await filled(folder);
  t.equal(store.chunkCount, chunkCount);
  t.same(states(store), clean);
  t.equal(store.dataBytes, 3 * chunkBytes - 1000);
  t.equal(store.zeroBytes, chunkBytes);
  for (const index of [1, 2, 7]) t.same(await readChunk(store, index), chunk(index));
  t.same(await readChunk(store, 4), Buffer.alloc(chunkBytes));
  t.equal(await readChunk(store, 0), false);
  await store.close();
});

t.test('a clean end is trusted', async (t) => {
  const folder = t.testdir({});
  await (await filled(folder)).close();
  t.ok(readMapHeader(storePaths(folder).mapPath)?.clean);
  const store = openStore(folder, sizeBytes);
  t.same(states(store), clean);
  for (const index of [1, 2, 7]) t.same(await readChunk(store, index), chunk(index));
  t.ok(readMapHeader(storePaths(folder).mapPath)?.clean, 'nobody changed anything');
  await store.store(3, chunk(3));
  t.notOk(readMapHeader(storePaths(folder).mapPath)?.clean, 'only until something is stored');
  await store.close();
  t.ok(readMapHeader(storePaths(folder).mapPath)?.clean);
});

t.test('files are open while somebody reads, and what was stored is synced before they are closed', async (t) => {
  const folder = t.testdir({});
  let syncCount = 0;
  let fails = false;
  class CountingStore extends ChunkStore {
    protected override async sync(): Promise<void> {
      syncCount += 1;
      if (fails) throw systemError('EIO');
      await super.sync();
    }
  }
  const open = (): CountingStore => new CountingStore({ ...storePaths(folder), sizeBytes, chunkBytes, recordSeed });
  const store = open();
  t.notOk(existsSync(storePaths(folder).mapPath), 'an image that nobody reads has no files');
  await store.store(1, chunk(1));
  t.equal(await store.park(), false, 'it was used since the last look');
  t.equal(await store.park(), true);
  t.equal(syncCount, 1);
  t.equal(store.isOpen, false);
  t.equal(store.state(1), present);
  t.same(await readChunk(store, 1), chunk(1));
  t.equal(store.isOpen, true);
  await store.park();
  t.equal(await store.park(), true);
  t.equal(syncCount, 1, 'nothing was changed');
  await store.store(2, chunk(2));
  await store.park();
  fails = true;
  t.equal(await store.park(), true);
  fails = false;
  await store.close();
  t.notOk(readMapHeader(storePaths(folder).mapPath)?.clean, 'a sync that failed before is not forgotten');
  const again = open();
  t.equal(again.state(2), unverified);
  await again.close();
});

t.test('after an unclean end each chunk is checked before it is served', async (t) => {
  const folder = await crashed(t);
  damage(folder, 2);
  const store = openStore(folder, sizeBytes);
  t.same(states(store), doubted);
  t.equal(await readChunk(store, 1), false, 'not before');
  t.equal(store.readNow(Buffer.alloc(10), 0, 10, chunkBytes), false);
  t.equal(await store.verify(1), true);
  t.equal(await store.verify(2), false);
  t.equal(await store.verify(4), true);
  t.same(states(store), [absent, present, absent, absent, zero, absent, absent, unverified]);
  t.equal(store.dataBytes, chunkBytes + store.lengthOf(7));
  await store.close();
});

t.test('chunks that were never checked after an unclean end are not trusted after the next clean one', async (t) => {
  const folder = await crashed(t);
  damage(folder, 2);
  const between = openStore(folder, sizeBytes);
  t.equal(await between.verify(1), true, 'some were');
  await between.close();
  const store = openStore(folder, sizeBytes);
  t.equal(store.state(2), unverified);
  t.equal(await store.verify(2), false);
  await store.close();
  const checked = openStore(folder, sizeBytes);
  for (const index of [1, 7]) t.equal(await checked.verify(index), true);
  await checked.close();
  const last = openStore(folder, sizeBytes);
  t.same(states(last), [absent, present, absent, absent, zero, absent, absent, present], 'all of them were: trusted again');
  await last.close();
});

const touched: [string, (paths: { dataPath: string; mapPath: string }) => void, readonly number[]][] = [
  ['the data file was written to', ({ dataPath }) => utimesSync(dataPath, 1e9, 1e9), doubted],
  [
    'the data file was replaced by a copy',
    ({ dataPath }) => {
      const { atime, mtime } = statSync(dataPath);
      writeFileSync(`${dataPath}.copy`, readFileSync(dataPath));
      utimesSync(`${dataPath}.copy`, atime, mtime);
      renameSync(`${dataPath}.copy`, dataPath);
    },
    doubted,
  ],
  ['the data file is gone', ({ dataPath }) => rmSync(dataPath), nothing],
  ['the data file is short', ({ dataPath }) => truncateSync(dataPath, chunkBytes), nothing],
  ['the data file is long', ({ dataPath }) => truncateSync(dataPath, sizeBytes + 1), nothing],
  ['the map is gone', ({ mapPath }) => rmSync(mapPath), nothing],
  ['the map is empty', ({ mapPath }) => truncateSync(mapPath, 0), nothing],
  ['the map ends in its records', ({ mapPath }) => truncateSync(mapPath, mapHeaderBytes + 2 * 8), [absent, present, ...nothing.slice(2)]],
];

for (const [name, touch, expected] of touched) {
  t.test(`after a clean end: ${name}`, async (t) => {
    const folder = t.testdir({});
    await (await filled(folder)).close();
    touch(storePaths(folder));
    const store = openStore(folder, sizeBytes);
    t.same(states(store), expected);
    await store.store(3, chunk(3));
    t.same(await readChunk(store, 3), chunk(3), 'and it works');
    await store.close();
    t.equal(statSync(storePaths(folder).dataPath).size, sizeBytes);
  });
}

const others: [string, { sizeBytes?: number; chunkBytes?: number; recordSeed?: number }][] = [
  ['size', { sizeBytes: sizeBytes - 1 }],
  ['chunk size', { chunkBytes: 2 * chunkBytes }],
  ['seed', { recordSeed: recordSeed - 1 }],
];
for (const [name, other] of others) {
  t.test(`the files of an image of another ${name} are worth nothing`, async (t) => {
    const folder = t.testdir({});
    await (await filled(folder)).close();
    const store = new ChunkStore({ ...storePaths(folder), sizeBytes, chunkBytes, recordSeed, ...other });
    t.equal(store.dataBytes + store.zeroBytes, 0);
    await store.close();
  });
}

t.test('an image of no bytes', async (t) => {
  const store = openStore(t.testdir({}), 0);
  t.equal(store.chunkCount, 0);
  t.same([...store.sweep(0, 10, 10)], [0]);
  await store.close();
});

t.test('a store waits for the eviction of its chunk, and wins', async (t) => {
  const store = await filled(t.testdir({}));
  const evicted = store.evict(Uint32Array.of(1, 2, 4));
  const stored = [store.store(1, chunk(1)), store.storeZero(2)];
  const verified = store.verify(4);
  t.equal(await evicted, 2 * chunkBytes);
  await Promise.all(stored);
  t.type(await verified, 'boolean');
  t.same(states(store).slice(0, 5), [absent, present, zero, absent, absent]);
  t.same(await readChunk(store, 1), chunk(1));
  await store.close();
});

t.test('an eviction that fails does not keep a store from its chunk', async (t) => {
  const store = await filled(t.testdir({}));
  const evicting = store.evict(Uint32Array.of(1));
  await t.rejects(store.evict(Uint32Array.of(chunkCount + 5)), 'no such chunk');
  await evicting;
  await store.store(1, chunk(1));
  t.equal(store.state(1), present);
  await store.close();
});

t.test('a sweep passes used chunks once', async (t) => {
  const store = openStore(t.testdir({}), sizeBytes);
  for (let index = 0; index < chunkCount; index += 1) await store.store(index, chunk(index));
  await readChunk(store, 0);
  await readChunk(store, 5);
  t.same([...store.sweep(0, 4, 8)], [4, 1, 2, 3], 'used ones have a second chance');
  t.same([...store.sweep(4, 4, 8)], [0, 4, 6, 7]);
  t.same([...store.sweep(0, 8, 8)], [0, 0, 1, 2, 3, 4, 5, 6, 7]);
  await store.close();
});

t.test('closing: twice is once; a sync that fails leaves the map unclean and harms nobody', async (t) => {
  const folder = t.testdir({});
  const store = await filled(folder);
  const closing = store.close();
  t.equal(store.close(), closing);
  t.equal(store.dataBytes, 0, 'nothing that could be evicted any more');
  t.same([...store.sweep(3, 8, 8)], [3]);
  await closing;
  await t.rejects(store.store(0, chunk(0)), { code: 'ERR_CLOSED' });

  class Unsyncable extends ChunkStore {
    protected override sync(): Promise<void> {
      return Promise.reject(systemError('EIO'));
    }
  }
  const failing = new Unsyncable({ ...storePaths(folder), sizeBytes, chunkBytes, recordSeed });
  await failing.store(3, chunk(3));
  await failing.close();
  t.notOk(readMapHeader(storePaths(folder).mapPath)?.clean);
  const reopened = openStore(folder, sizeBytes);
  t.equal(reopened.state(1), unverified);
  await reopened.close();
});

t.test('files are removed, also where there are none', async (t) => {
  const folder = t.testdir({});
  await (await filled(folder)).close();
  removeStoreFiles(storePaths(folder));
  t.throws(() => statSync(storePaths(folder).dataPath), { code: 'ENOENT' });
  t.throws(() => statSync(storePaths(folder).mapPath), { code: 'ENOENT' });
  removeStoreFiles(storePaths(folder));
});

t.test('what is stored after a store was closed makes no files', async (t) => {
  const folder = t.testdir({});
  const store = openStore(folder, sizeBytes);
  const closed = store.close();
  await t.rejects(store.store(3, chunk(3)), { code: 'ERR_CLOSED' });
  await t.rejects(store.storeZero(4), { code: 'ERR_CLOSED' });
  await closed;
  t.notOk(existsSync(storePaths(folder).mapPath));
  t.notOk(existsSync(storePaths(folder).dataPath));
});
