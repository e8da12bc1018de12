/** Budget and floor, and what goes first when something has to go. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { ChunkState } from '../../../src/base/native/chunk.js';
import { CacheSpace } from '../../../src/cache/evict/cache-space.js';
import { pattern } from '../../conformance/content.js';
import { holds } from '../../support/wait.js';
import { type FaultyStore, systemError } from '../faulty-store.js';
import { ManualClock } from '../manual-clock.js';
import { chunkBytes, open, openStore, turns } from '../subject.js';

const mebibyte = 1024 * 1024;

interface SpaceOptions {
  budgetBytes?: number;
  minFreeBytes?: number;
  /** What statfs would say, apart from what the stores hold. */
  freeBytes?: () => Promise<number>;
}

function openSpace(t: Test, options: SpaceOptions = {}) {
  const folder = t.testdir({});
  const clock = new ManualClock();
  const log: { msg: string; state?: string; reason?: string }[] = [];
  const stores: FaultyStore[] = [];
  const disk = { freeBytes: 2 ** 40 };
  const space = new CacheSpace({
    path: folder,
    budgetBytes: options.budgetBytes ?? 2 ** 40,
    minFreeBytes: options.minFreeBytes ?? 0,
    clock,
    log: pino({ base: null }, { write: (line: string) => void log.push(JSON.parse(line)) }),
    freeBytes: options.freeBytes ?? (() => Promise.resolve(disk.freeBytes - stores.reduce((bytes, store) => bytes + store.dataBytes, 0))),
  });
  const openOne = (chunkCount: number): FaultyStore => {
    const path = join(folder, String(stores.length));
    mkdirSync(path);
    const store = openStore(path, chunkCount * chunkBytes);
    stores.push(store);
    return store;
  };
  t.teardown(async () => {
    space.close();
    await Promise.all(stores.map((store) => store.close()));
  });
  return { space, clock, log, disk, openOne };
}

const bytes = pattern(chunkBytes);

function fill(space: CacheSpace, store: FaultyStore, first: number, count = 1): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, (_, index) => space.use(chunkBytes, () => store.store(first + index, bytes))));
}

function held(store: FaultyStore): number[] {
  return Array.from({ length: store.chunkCount }, (_, index) => index).filter((index) => store.state(index) !== ChunkState.absent);
}

t.test('never more than the budget, however many store at once', async (t) => {
  const { space, openOne } = openSpace(t, { budgetBytes: 32 * chunkBytes });
  const [first, second] = [openOne(64), openOne(64)];
  space.add(first);
  space.add(second);
  let most = 0;
  for (let index = 0; index < 64; index += 8) {
    await Promise.all([fill(space, first, index, 8), fill(space, second, index, 8)]);
    most = Math.max(most, space.usedBytes);
  }
  t.ok(most <= space.budgetBytes, `${most / chunkBytes} of 32 chunks`);
  t.ok(most >= 16 * chunkBytes);
  // An eviction that works ahead may be under way still.
  await holds(() => space.evictedBytes + space.usedBytes === 128 * chunkBytes);
  t.equal(space.evictedBytes, space.evictedChunks * chunkBytes);
  t.equal(space.state, 'ok');
});

t.test('what was read since the hand last passed stays', async (t) => {
  const { space, openOne } = openSpace(t, { budgetBytes: 32 * chunkBytes });
  const store = openOne(200);
  space.add(store);
  await fill(space, store, 0, 4);
  const target = Buffer.alloc(chunkBytes);
  for (let index = 10; index < 150; index += 1) {
    for (let used = 0; used < 4; used += 1) await store.read(target, 0, 100, used * chunkBytes);
    await fill(space, store, index);
  }
  t.same(held(store).slice(0, 4), [0, 1, 2, 3]);
});

t.test('orphans go before anything that somebody may read, and are told of their end', async (t) => {
  const { space, openOne } = openSpace(t, { budgetBytes: 32 * chunkBytes });
  const [live, orphan, empty] = [openOne(40), openOne(8), openOne(8)];
  space.add(live);
  await fill(space, orphan, 0, 8);
  await fill(space, live, 0, 16);
  const ended: string[] = [];
  space.addOrphan(orphan, () => ended.push('orphan'));
  space.addOrphan(empty, () => ended.push('empty'));
  let count = 16;
  for (; ended.length < 2 && count < 40; count += 1) await fill(space, live, count);
  t.equal(orphan.dataBytes, 0);
  // A chunk that is stored counts as on its way for a moment longer, so that one of the other may go at the very end.
  t.ok(held(live).length >= count - 4, `${count - held(live).length} chunks of the other were evicted`);
  t.same(ended.sort(), ['empty', 'orphan']);
});

t.test('an orphan that is taken back while it is being evicted is not told of an end', async (t) => {
  const { space, openOne } = openSpace(t, { budgetBytes: 32 * chunkBytes });
  const [live, orphan] = [openOne(40), openOne(8)];
  space.add(live);
  await fill(space, orphan, 0, 8);
  space.addOrphan(orphan, () => t.fail('it belongs to somebody else now'));
  await fill(space, live, 0, 23);
  const stored = fill(space, live, 23, 4);
  await turns(1);
  space.remove(orphan);
  await orphan.close();
  await stored;
  await turns();
  t.equal(space.state, 'ok', 'and its closing is no trouble with the disk');
});

t.test('an image that closes while it is being evicted from is no trouble with the disk', async (t) => {
  const { space, openOne } = openSpace(t, { budgetBytes: 16 * chunkBytes });
  const [first, second] = [openOne(16), openOne(16)];
  space.add(first);
  space.add(second);
  await fill(space, first, 0, 15);
  const stored = fill(space, second, 0, 4);
  const closing = first.close();
  await stored;
  await closing;
  space.remove(first);
  await fill(space, second, 4, 8);
  t.equal(space.state, 'ok');
});

t.test('full: the store is refused, the log says so once, and again only when it stores again', async (t) => {
  const { space, openOne, log } = openSpace(t, { budgetBytes: chunkBytes / 2 });
  const store = openOne(4);
  space.add(store);
  for (let count = 0; count < 3; count += 1) await t.rejects(fill(space, store, 0), { code: 'ERR_CACHE_FULL' });
  t.equal(space.state, 'full');
  t.match(space.message, /nothing more can be evicted/);
  t.equal(log.length, 1);
  t.equal(held(store).length, 0);
  await space.use(100, () => Promise.resolve());
  t.equal(space.state, 'ok');
  t.equal(space.message, undefined);
  t.equal(log.length, 2);
});

t.test('a budget of 0: nothing is kept, which is said in the state and never in the log', async (t) => {
  const { space, openOne, log } = openSpace(t, { budgetBytes: 0 });
  const store = openOne(4);
  space.add(store, { isHome: () => true });
  t.equal(space.state, 'full');
  t.match(space.message, /keeps nothing/);
  for (let index = 0; index < 4; index += 1) await t.rejects(fill(space, store, index), { code: 'ERR_CACHE_FULL' });
  t.same(held(store), []);
  t.equal(space.state, 'full');
  t.match(space.message, /keeps nothing/);
  t.same(log, []);
});

t.test('what an earlier, larger budget left goes when the budget is 0', async (t) => {
  const { space, openOne, clock, log } = openSpace(t, { budgetBytes: 0 });
  const store = openOne(4);
  space.add(store);
  for (let index = 0; index < 4; index += 1) await store.store(index, bytes);
  clock.advance(5000);
  await holds(() => space.evictedChunks === 4);
  t.equal(store.dataBytes, 0);
  t.same(log, []);
});

t.test('reads pass through a cache with a budget of 0', async (t) => {
  const subject = open(t, { budgetBytes: 0, readaheadChunks: 4 });
  subject.source.answerAll();
  for (let index = 0; index < 8; index += 1) await subject.expect(t, index * chunkBytes, chunkBytes);
  await subject.expect(t, 0, 4 * chunkBytes);
  t.equal(subject.store.dataBytes, 0);
  await holds(() => subject.cache.metrics.unstoredChunks === 12);
  await turns();
  t.equal(subject.cache.metrics.unstoredChunks, 12, 'each was fetched for whoever asked, and none ahead');
  t.same(subject.log, []);
});

t.test('copies in one store make room for home chunks of another; budget and floor hold meanwhile', async (t) => {
  const floor = 10 * mebibyte;
  const { space, openOne, disk } = openSpace(t, { budgetBytes: 48 * chunkBytes, minFreeBytes: floor });
  disk.freeBytes = floor + 40 * chunkBytes;
  const [copies, homes] = [openOne(64), openOne(64)];
  space.add(copies, { isHome: () => false });
  space.add(homes, { isHome: () => true });
  const freeBytes = (): number => disk.freeBytes - copies.dataBytes - homes.dataBytes;
  for (let index = 0; index < 64; index += 4) {
    await Promise.all([fill(space, copies, index, 4), index < 24 ? fill(space, homes, index, 4) : undefined]);
    t.ok(space.usedBytes <= space.budgetBytes && freeBytes() >= floor);
  }
  t.equal(held(homes).length, 24, 'all of them, under a storm of copies');
  t.ok(held(copies).length > 0);
});

t.test('nothing is stored below the floor of free space: not by the first, nor by those who come with it', async (t) => {
  const { space, openOne, disk } = openSpace(t, { minFreeBytes: 10 * mebibyte });
  const store = openOne(8);
  space.add(store);
  disk.freeBytes = 10 * mebibyte + 100;
  const outcomes = await Promise.allSettled([0, 1, 2, 3].map((index) => space.use(1000, () => store.store(index, bytes))));
  for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: { code: 'ERR_CACHE_FULL' } });
  t.equal(held(store).length, 0);
  t.equal(await space.freeBytes(), disk.freeBytes);
});

t.test('the floor holds between two readings of free space', async (t) => {
  const { space, openOne, disk } = openSpace(t, { minFreeBytes: mebibyte });
  const store = openOne(200);
  space.add(store);
  disk.freeBytes = mebibyte + 20 * chunkBytes;
  for (let index = 0; index < 200; index += 4) await fill(space, store, index, 4);
  t.ok(disk.freeBytes - store.dataBytes >= mebibyte);
  t.ok(held(store).length >= 8);
});

t.test('a reading of free space under way while chunks are stored and evicted does not make free space up', async (t) => {
  const floor = 10 * mebibyte;
  const readings: (() => void)[] = [];
  let truth = (): number => 0;
  const { space, openOne, clock } = openSpace(t, {
    minFreeBytes: floor,
    freeBytes: () => {
      // What is read is of now; it is told later.
      const freeBytes = truth();
      return new Promise((resolve) => readings.push(() => resolve(freeBytes)));
    },
  });
  const store = openOne(64);
  space.add(store);
  truth = () => floor + 8 * chunkBytes - store.dataBytes;
  const first = fill(space, store, 0);
  await holds(() => readings.length === 1);
  readings.shift()?.();
  await first;
  const reading = space.freeBytes();
  await fill(space, store, 1, 6);
  readings.shift()?.();
  t.ok((await reading) <= truth());
  for (let index = 8; index < 40; index += 1) {
    if (index % 5 === 0) clock.advance(1001);
    const stored = Promise.allSettled([fill(space, store, index)]).then(() => true);
    let done = false;
    void stored.then(() => {
      done = true;
    });
    while (!done) {
      readings.shift()?.();
      await turns(1);
    }
    if (truth() < floor) t.fail(`${truth() - floor} bytes above the floor`);
  }
});

t.test('when others fill the disk the cache shrinks, though nobody stores; when they leave it grows', async (t) => {
  const { space, openOne, disk, clock } = openSpace(t, { budgetBytes: 64 * chunkBytes, minFreeBytes: mebibyte });
  const store = openOne(64);
  space.add(store);
  disk.freeBytes = mebibyte + 100 * chunkBytes;
  await fill(space, store, 0, 15);
  await fill(space, store, 15, 15);
  t.equal(held(store).length, 30);
  disk.freeBytes = mebibyte + 10 * chunkBytes;
  await turns();
  t.equal(held(store).length, 30, 'nobody looked');
  clock.advance(5000);
  await holds(() => disk.freeBytes - store.dataBytes >= mebibyte);
  disk.freeBytes = 0;
  clock.advance(5000);
  await holds(() => store.dataBytes === 0);
  disk.freeBytes = mebibyte + 100 * chunkBytes;
  clock.advance(5000);
  await fill(space, store, 0, 15);
  t.equal(space.state, 'ok');
});

t.test('a store that fails: the disk rests for ten seconds, then is tried again', async (t) => {
  const { space, openOne, clock, log } = openSpace(t);
  const store = openOne(8);
  space.add(store);
  store.onStore = () => systemError('EIO');
  await t.rejects(fill(space, store, 0), { code: 'EIO' });
  t.equal(space.state, 'broken');
  store.onStore = undefined;
  clock.advance(9999);
  await t.rejects(fill(space, store, 0), { code: 'ERR_CACHE_BROKEN' });
  clock.advance(1);
  await fill(space, store, 0);
  t.equal(space.state, 'ok');
  t.same(
    log.map((line) => line.state),
    ['broken', undefined],
  );
});

t.test('no space left on the device is full, whatever was known of it; a chunk that is busy is neither', async (t) => {
  const { space, openOne } = openSpace(t);
  const store = openOne(8);
  space.add(store);
  store.onStore = () => systemError('EBUSY');
  await t.rejects(fill(space, store, 0), { code: 'EBUSY' });
  t.equal(space.state, 'ok');
  store.onStore = () => systemError('ENOSPC');
  await t.rejects(fill(space, store, 0), { code: 'ENOSPC' });
  t.equal(space.state, 'full');
});

t.test('a store that was waiting while another failed does not wake the disk', async (t) => {
  const { space, openOne, log } = openSpace(t, { budgetBytes: 8 * chunkBytes });
  const store = openOne(8);
  space.add(store);
  store.onStore = () => systemError('EIO');
  const outcomes = await Promise.allSettled([0, 1, 2, 3, 4, 5].map((index) => fill(space, store, index)));
  t.ok(outcomes.every((outcome) => outcome.status === 'rejected'));
  t.equal(log.length, 1);
});

t.test('free space that can not be read: broken until it can, said once', async (t) => {
  let fails = true;
  const { space, openOne, clock, log } = openSpace(t, {
    freeBytes: () => (fails ? Promise.reject(systemError('EIO')) : Promise.resolve(2 ** 40)),
  });
  const store = openOne(8);
  space.add(store);
  for (let count = 0; count < 5; count += 1) {
    await t.rejects(fill(space, store, count), { code: 'ERR_CACHE_BROKEN' });
    clock.advance(3000);
    await turns();
  }
  t.equal(space.state, 'broken');
  t.match(space.message, /EIO/);
  t.equal(log.length, 1);
  t.equal(held(store).length, 0);
  fails = false;
  clock.advance(20_000);
  await turns();
  await fill(space, store, 0);
  t.equal(log.length, 2);
});

t.test('an eviction that fails is trouble with the disk', async (t) => {
  const { space, openOne, log } = openSpace(t, { budgetBytes: 8 * chunkBytes });
  const store = openOne(32);
  space.add(store);
  for (let index = 0; index < 7; index += 1) await fill(space, store, index);
  store.onEvict = () => systemError('ENOTSUP');
  const outcomes = await Promise.allSettled([10, 11, 12, 13].map((index) => fill(space, store, index)));
  await turns();
  t.ok(outcomes.some((outcome) => outcome.status === 'rejected'));
  t.equal(space.state, 'broken');
  t.equal(log.filter((line) => line.state !== undefined).length, 1);
  t.ok(space.usedBytes <= space.budgetBytes);
});

t.test('many stores at the edge of the budget are not refused while there is something to evict', async (t) => {
  const { space, openOne, log } = openSpace(t, { budgetBytes: 64 * chunkBytes });
  const stores = [openOne(256), openOne(256)];
  for (const store of stores) space.add(store);
  const work = stores.flatMap((store) => Array.from({ length: 256 }, (_, index) => fill(space, store, index)));
  const outcomes = await Promise.allSettled(work);
  t.equal(outcomes.filter((outcome) => outcome.status === 'rejected').length, 0);
  t.same(log, []);
  t.ok(space.usedBytes <= space.budgetBytes);
});

t.test('statfs itself: a real file system has free bytes', async (t) => {
  const space = new CacheSpace({
    path: t.testdir({}),
    budgetBytes: mebibyte,
    minFreeBytes: 0,
    clock: new ManualClock(),
    log: pino({ level: 'silent' }),
  });
  t.ok((await space.freeBytes()) > 0);
  space.close();
});

t.test('after closing, nothing is watched', async (t) => {
  const { space, clock } = openSpace(t);
  t.equal(clock.timerCount, 1);
  clock.advance(12_000);
  t.equal(clock.timerCount, 1);
  space.close();
  t.equal(clock.timerCount, 0);
});
