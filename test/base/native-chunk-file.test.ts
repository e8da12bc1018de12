import { once } from 'node:events';
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { type ChunkFileOptions, ChunkState, type NativeChunkFile, ReadNow } from '../../src/base/native/chunk.js';
import { native } from '../../src/base/native/loader.js';

const chunkBytes = 16 * 1024;
const tailBytes = 5000;
const wrong = (value: unknown): never => value as never;

/** Ten chunks and a short one. */
function optionsIn(directory: string): ChunkFileOptions {
  return {
    dataPath: join(directory, 'data'),
    mapPath: join(directory, 'map'),
    sizeBytes: 10 * chunkBytes + tailBytes,
    chunkBytes,
    recordsOffset: 4096,
    recordSeed: 0xc0ffee,
    trusted: true,
  };
}

function openNew(t: Test, more: Partial<ChunkFileOptions> = {}): NativeChunkFile {
  const file = native.openChunkFile({ ...optionsIn(t.testdir()), ...more });
  t.teardown(() => file.close());
  return file;
}

const chunkOf = (fill: number, lengthBytes = chunkBytes): Buffer => Buffer.alloc(lengthBytes, fill);

t.test('a new file has nothing', async (t) => {
  const file = openNew(t);
  t.equal(file.chunkCount, 11);
  t.equal(file.dataBytes, 0);
  t.equal(file.zeroBytes, 0);
  t.equal(file.state(10), ChunkState.absent);
  t.same([...file.runs(0, 11, 5)], [ChunkState.absent, 11]);
  t.equal(file.readNow(Buffer.alloc(1), 0, 1, 0), ReadNow.absent);
  t.equal(await file.read(Buffer.alloc(1), 0, 1, 0), false);
  t.equal(await file.verify(3), false);
  const { dataPath, mapPath, sizeBytes } = optionsIn(t.testdirName);
  const info = await stat(dataPath);
  t.same([info.size, info.blocks, info.mode & 0o777], [sizeBytes, 0, 0o600]);
  t.equal((await stat(mapPath)).mode & 0o777, 0o600);
});

t.test('store, then read: data, zeros and the short last chunk', async (t) => {
  const file = openNew(t);
  t.equal(await file.store(0, Buffer.concat([Buffer.from('xy'), chunkOf(1)]), 2), ChunkState.present);
  t.equal(await file.store(1, chunkOf(0), 0), ChunkState.zero);
  t.equal(await file.store(2, chunkOf(3), 0), ChunkState.present);
  t.equal(await file.store(10, chunkOf(9, tailBytes), 0), ChunkState.present);
  t.equal(file.dataBytes, 2 * chunkBytes + tailBytes);
  t.equal(file.zeroBytes, chunkBytes);
  t.same([...file.runs(0, 11, 20)], [1, 1, 2, 1, 1, 1, 0, 7, 1, 1]);
  t.same([...file.runs(0, 11, 2)], [1, 1, 2, 1], 'at most so many runs');
  t.same([...file.runs(3, 7, 2)], [0, 7]);
  t.equal(file.isZero(chunkBytes, chunkBytes), true);
  t.equal(file.isZero(chunkBytes - 1, 2), false);
  const expected = Buffer.concat([chunkOf(1), chunkOf(0), chunkOf(3)]);
  const target = Buffer.alloc(3 * chunkBytes, 0xee);
  t.equal(file.readNow(target, 0, target.length, 0), ReadNow.hit);
  t.ok(target.equals(expected));
  target.fill(0xee);
  t.equal(await file.read(target, 5, chunkBytes + 10, chunkBytes - 5), true);
  t.ok(target.subarray(5, chunkBytes + 15).equals(expected.subarray(chunkBytes - 5, 2 * chunkBytes + 5)));
  t.equal(target[4], 0xee);
  t.equal(target[chunkBytes + 15], 0xee);
  t.equal(file.readNow(target, 0, chunkBytes, 2 * chunkBytes + 1), ReadNow.absent, 'its end is absent');
  const tail = Buffer.alloc(100);
  t.equal(await file.read(tail, 0, 100, 10 * chunkBytes + tailBytes - 100), true);
  t.same(tail, Buffer.alloc(100, 9));
});

t.test('storeZero, and data that is replaced', async (t) => {
  const file = openNew(t);
  await file.store(4, chunkOf(4), 0);
  await file.storeZero(3, 8);
  t.equal(file.zeroBytes, 7 * chunkBytes + tailBytes);
  t.equal(file.dataBytes, 0);
  t.equal((await stat(optionsIn(t.testdirName).dataPath)).blocks, 0, 'nothing stays allocated under zeros');
  await file.storeZero(0, 0);
  await file.store(4, chunkOf(5), 0);
  const target = Buffer.alloc(chunkBytes);
  t.equal(file.readNow(target, 0, chunkBytes, 4 * chunkBytes), ReadNow.hit);
  t.ok(target.equals(chunkOf(5)));
  t.equal(file.zeroBytes, 6 * chunkBytes + tailBytes);
});

t.test('what was stored is there after a clean end, and is checked after an unclean one', async (t) => {
  const options = optionsIn(t.testdir());
  const first = native.openChunkFile(options);
  await first.store(1, chunkOf(1), 0);
  await first.storeZero(2, 1);
  await first.store(10, chunkOf(7, tailBytes), 0);
  await first.sync();
  await first.close();

  const trusted = native.openChunkFile(options);
  t.same([...trusted.runs(0, 11, 20)], [0, 1, 1, 1, 2, 1, 0, 7, 1, 1]);
  t.equal(trusted.dataBytes, chunkBytes + tailBytes);
  await trusted.close();

  const unclean = native.openChunkFile({ ...options, trusted: false });
  t.same([...unclean.runs(0, 11, 20)], [0, 1, 3, 1, 2, 1, 0, 7, 3, 1]);
  t.equal(unclean.dataBytes, chunkBytes + tailBytes);
  const target = Buffer.alloc(chunkBytes);
  t.equal(unclean.readNow(target, 0, 1, chunkBytes), ReadNow.absent, 'unverified is not served');
  t.equal(await unclean.verify(1), true);
  t.equal(unclean.state(1), ChunkState.present);
  t.equal(await unclean.verify(2), true, 'zeros need no check');
  t.equal(await unclean.verify(10), true);
  t.equal(unclean.readNow(target, 0, chunkBytes, chunkBytes), ReadNow.hit);
  t.ok(target.equals(chunkOf(1)));
  await unclean.close();

  const other = native.openChunkFile({ ...options, recordSeed: 1 });
  t.same([...other.runs(0, 11, 20)], [0, 11], "another image's records count for nothing");
  await other.close();
});

t.test('verify drops what rotted', async (t) => {
  const file = openNew(t);
  await file.store(3, chunkOf(3), 0);
  const data = await open(optionsIn(t.testdirName).dataPath, 'r+');
  await data.write(Buffer.from([0]), 0, 1, 3 * chunkBytes + 777);
  await data.close();
  t.equal(await file.verify(3), false);
  t.equal(file.state(3), ChunkState.absent);
  t.equal(file.dataBytes, 0);
  const map = await readFile(optionsIn(t.testdirName).mapPath);
  t.same(map.subarray(4096 + 24, 4096 + 32), Buffer.alloc(8), 'the record is cleared');
  t.equal(await file.store(3, chunkOf(3), 0), ChunkState.present, 'and may be stored again');
  t.equal(await file.verify(3), true);
});

t.test('evict frees data and record; the header of the map is not its own', async (t) => {
  const options = optionsIn(t.testdir());
  const header = await open(options.mapPath, 'w+');
  await header.write(Buffer.alloc(4096, 0x55), 0, 4096, 0);
  const file = native.openChunkFile(options);
  for (let index = 0; index < 10; index += 1) await file.store(index, chunkOf(index + 1), 0);
  await file.store(10, chunkOf(11, tailBytes), 0);
  await file.sync();
  const blocksOf = async (): Promise<number> => (await stat(options.dataPath)).blocks * 512;
  const allocatedBytes = await blocksOf();
  t.ok(allocatedBytes >= 10 * chunkBytes + tailBytes, `${allocatedBytes} bytes`);
  t.equal(await file.evict(Uint32Array.of(10, 2, 3, 3)), 2 * chunkBytes + tailBytes);
  // A file system counts what it needs to find the data, too: where that lies in many pieces, a block more.
  const freedBytes = allocatedBytes - (await blocksOf());
  t.ok(freedBytes >= 2 * chunkBytes, `${freedBytes} bytes are free again`);
  t.equal(file.dataBytes, 8 * chunkBytes);
  t.same([...file.runs(0, 11, 20)], [1, 2, 0, 2, 1, 6, 0, 1]);
  t.equal(await file.evict(Uint32Array.of(2, 10)), 0, 'absent ones are skipped');
  t.equal(await file.evict(new Uint32Array(0)), 0);
  await file.storeZero(2, 1);
  t.equal(await file.evict(Uint32Array.of(2)), 0, 'zeros take no space');
  t.equal(file.state(2), ChunkState.absent);
  await file.close();
  t.same((await readFile(options.mapPath)).subarray(0, 4096), Buffer.alloc(4096, 0x55));
  await header.close();
  const again = native.openChunkFile(options);
  t.same([...again.runs(0, 11, 20)], [1, 2, 0, 2, 1, 6, 0, 1]);
  await again.close();
});

/** Fills the lanes of reads and of syncs with more work than is done in a minute. A worker's, since the end of a worker takes back what has not begun. */
const hoard = `
  const { parentPort, workerData } = await import('node:worker_threads');
  const { native } = await import(workerData.module);
  const file = native.openBlockFile(workerData.path, { write: true, create: true });
  const target = Buffer.alloc(32 << 20);
  // The reads first: once they have all the threads, a thread comes to one sync for each read.
  for (let count = 0; count < 20_000; count += 1) void file.read(target, 0, target.length, 0);
  for (let count = 0; count < 20_000; count += 1) void file.sync();
  parentPort.postMessage('full');`;

/** Keeps the pool's threads from all reads, evictions and syncs that are called from now until `release`, however slow the machine is. */
async function holdThreads(t: Test): Promise<{ release(): Promise<unknown> }> {
  const module = new URL('../../src/base/native/loader.js', import.meta.url).href;
  const source = new URL(`data:text/javascript,${encodeURIComponent(hoard)}`);
  const worker = new Worker(source, { workerData: { module, path: join(t.testdirName, 'hoard') } });
  t.teardown(() => worker.terminate());
  await once(worker, 'message');
  return { release: () => worker.terminate() };
}

t.test('pinned and busy chunks are left alone', async (t) => {
  const file = openNew(t);
  await file.store(0, chunkOf(1), 0);
  await file.store(1, chunkOf(2), 0);
  const target = Buffer.alloc(chunkBytes);
  const threads = await holdThreads(t);
  const read = file.read(target, 0, chunkBytes, 0);
  const evicted = file.evict(Uint32Array.of(0, 1));
  t.equal(file.state(0), ChunkState.present);
  t.equal(file.state(1), ChunkState.absent, 'absent from the start of its eviction');
  t.same([...file.sweep(0, 11, 11)], [0], 'what is pinned was used');
  t.same([...file.sweep(0, 11, 11)], [0], 'and is not offered while it is pinned');
  const refused: Promise<unknown>[] = [file.store(0, chunkOf(5), 0), file.store(1, chunkOf(5), 0), file.verify(1), file.storeZero(0, 3)];
  t.equal(file.state(0), ChunkState.present, 'a refused call leaves everything as it was');
  t.equal(file.state(2), ChunkState.absent);
  const reasons = (await Promise.allSettled(refused)).map((result) => (result.status === 'rejected' ? errorCode(result.reason) : 'none'));
  t.same(reasons, ['EBUSY', 'EBUSY', 'EBUSY', 'EBUSY']);
  await threads.release();
  t.equal(await evicted, chunkBytes);
  t.equal(await read, true);
  t.ok(target.equals(chunkOf(1)));
  t.equal(await file.store(1, chunkOf(5), 0), ChunkState.present);
  t.equal(await file.evict(Uint32Array.of(0, 1)), 2 * chunkBytes, 'when all is settled nothing is busy');
});

t.test('sweep gives a second chance', async (t) => {
  const file = openNew(t);
  for (const index of [0, 1, 3, 5]) await file.store(index, chunkOf(index + 1), 0);
  await file.storeZero(2, 1);
  const target = Buffer.alloc(1);
  file.readNow(target, 0, 1, 0);
  await file.read(target, 0, 1, 3 * chunkBytes);
  t.same([...file.sweep(0, 11, 1)], [2, 1], 'the used one is spared, the unused one found');
  t.same([...file.sweep(2, 3, 10)], [5], 'not further than it may look');
  t.same([...file.sweep(5, 1000, 10)], [5, 5, 0, 1, 3], 'round, once, and nobody is spared twice');
  t.same([...file.sweep(11, 1, 0)], [0]);
});

t.test('wrong arguments throw, from promises too', async (t) => {
  const options = optionsIn(t.testdir());
  const bad = [
    { chunkBytes: 0 },
    { chunkBytes: 1000 },
    { chunkBytes: 2 ** 27 },
    { sizeBytes: 2 ** 50 },
    { recordSeed: -1 },
    { sizeBytes: 1.5 },
  ];
  for (const more of bad) t.throws(() => native.openChunkFile({ ...options, ...more }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => native.openChunkFile({ ...options, dataPath: wrong(undefined) }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => native.openChunkFile(wrong(null)), { code: 'ERR_INVALID_ARG_TYPE' });
  const nowhere = native.openChunkFile({ ...options, mapPath: join(t.testdirName, 'no', 'map') });
  await t.rejects(nowhere.store(0, Buffer.alloc(chunkBytes), 0), { code: 'ENOENT' });
  const file = openNew(t);
  const buffer = Buffer.alloc(chunkBytes);
  const range = { code: 'ERR_OUT_OF_RANGE' };
  t.throws(() => file.state(11), range);
  t.throws(() => file.runs(5, 7, 1), range);
  t.throws(() => file.isZero(0, 11 * chunkBytes), range);
  t.throws(() => file.readNow(buffer, 0, 10, 10 * chunkBytes + tailBytes - 9), range);
  t.throws(() => file.readNow(Buffer.alloc(11 * chunkBytes), 0, 11 * chunkBytes, 0), range);
  t.throws(() => file.read(buffer, chunkBytes, 1, 0), range);
  t.throws(() => file.store(11, buffer, 0), range);
  t.throws(() => file.store(0, buffer, 1), range);
  t.throws(() => file.store(0, buffer.subarray(1), 0), range);
  t.throws(() => file.storeZero(10, 2), range);
  t.throws(() => file.evict(Uint32Array.of(0, 11)), range);
  t.throws(() => file.evict(wrong([1])), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => file.sweep(12, 1, 1), range);
  t.equal(await file.store(0, chunkOf(1), 0), ChunkState.present, 'nothing was left busy');
});

t.test('an image without a byte', async (t) => {
  const file = openNew(t, { sizeBytes: 0 });
  t.equal(file.chunkCount, 0);
  t.same([...file.sweep(0, 10, 10)], [0]);
  t.equal(file.readNow(Buffer.alloc(0), 0, 0, 0), ReadNow.hit);
  t.equal(await file.read(Buffer.alloc(0), 0, 0, 0), true);
});

t.test('close waits for what is under way, and is the end', async (t) => {
  const file = native.openChunkFile(optionsIn(t.testdir()));
  const stores = Array.from({ length: 10 }, (_, index) => file.store(index, chunkOf(index + 1), 0));
  const close = file.close();
  await t.rejects(file.read(Buffer.alloc(1), 0, 1, 0), { code: 'ERR_CLOSED' });
  await t.rejects(file.evict(Uint32Array.of(0)), { code: 'ERR_CLOSED' });
  t.throws(() => file.readNow(Buffer.alloc(1), 0, 1, 0), { code: 'ERR_CLOSED' });
  t.throws(() => file.dataBytes, { code: 'ERR_CLOSED' });
  t.same(await Promise.all(stores), Array(10).fill(ChunkState.present));
  await close;
  await file.close();
  const again = native.openChunkFile(optionsIn(t.testdirName));
  t.equal(again.dataBytes, 10 * chunkBytes);
  await again.close();
});

t.test('what guests touch is known, whatever becomes of it, and what others read is not', async (t) => {
  const file = openNew(t);
  await file.store(0, chunkOf(1), 0);
  await file.storeZero(1, 1);
  const target = Buffer.alloc(2 * chunkBytes);
  file.readNow(target, 0, target.length, 0);
  file.readNow(target, 0, target.length, 0, false);
  await file.read(target, 0, target.length, 0);
  t.equal(file.touchedCount, 0);
  file.readNow(target, 0, target.length, 0, true);
  t.equal(file.touchedCount, 2);
  file.touch(1, 3);
  t.equal(file.touchedCount, 4);
  t.same(
    Array.from({ length: 11 }, (_, index) => file.isTouched(index)),
    Array.from({ length: 11 }, (_, index) => index < 4),
  );
  await file.evict(Uint32Array.of(0, 1));
  t.ok(file.isTouched(0) && file.isTouched(1));
  file.touch(11, 0);
  t.throws(() => file.touch(10, 2), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => file.isTouched(11), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => file.readNow(target, 0, 1, 0, wrong(1)), { code: 'ERR_INVALID_ARG_TYPE' });
  await file.close();
  t.throws(() => file.touchedCount, { code: 'ERR_CLOSED' });
  t.throws(() => file.touch(0, 1), { code: 'ERR_CLOSED' });
});

t.test('a mark changes nothing on this side', async (t) => {
  const file = openNew(t);
  await file.store(0, chunkOf(1), 0);
  file.setMark(0, true);
  file.setMark(0, true);
  const target = Buffer.alloc(chunkBytes);
  t.equal(await file.read(target, 0, chunkBytes, 0), true);
  t.equal(file.readNow(target, 0, chunkBytes, 0, true), ReadNow.hit);
  t.ok(target.equals(chunkOf(1)));
  t.equal(await file.evict(Uint32Array.of(0)), chunkBytes);
  file.setMark(0, false);
  t.throws(() => file.setMark(11, true), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => file.setMark(0, wrong(1)), { code: 'ERR_INVALID_ARG_TYPE' });
});
