/** However many ask for a chunk, it is fetched once; whoever gives up hurts nobody else; what nobody wants is not fetched. */
import t from 'tap';
import { Budget } from '../../src/base/budget.js';
import { ChunkState } from '../../src/base/native/chunk.js';
import { holds } from '../support/wait.js';
import { chunkBytes, open, turns } from './subject.js';

t.test('four readers and a fill of one chunk: one request, the readers are answered before it is stored', async (t) => {
  const { cache, source, store, expect } = open(t);
  let release = (): void => {};
  store.storeGate = new Promise((resolve) => {
    release = resolve;
  });
  const reads = [0, 1, 2, 3].map((index) => expect(t, index * 1000, 1000));
  let stored = false;
  const filled = cache.ensure(0, chunkBytes).then(() => {
    stored = true;
  });
  (await source.next()).send().end();
  await Promise.all(reads);
  t.notOk(stored);
  const late = expect(t, 5000, 10);
  await late;
  release();
  await filled;
  t.equal(store.state(0), ChunkState.present);
  t.equal(source.reads.length, 1);
});

t.test('a small read is answered as soon as its own bytes are here', async (t) => {
  const { source, expect } = open(t);
  const first = expect(t, 100, 1000);
  const rest = expect(t, 0, chunkBytes);
  const read = await source.next();
  read.send(1099);
  let settled = false;
  void first.then(() => {
    settled = true;
  });
  await turns();
  t.notOk(settled, 'one byte is missing');
  read.send(1);
  await first;
  await expect(t, 0, 500);
  read.send().end();
  await rest;
  t.equal(source.reads.length, 1);
});

t.test('the last waiter that leaves ends the request, the one before does not', async (t) => {
  const { cache, source, memory, clock } = open(t);
  const [first, second] = [new AbortController(), new AbortController()];
  const target = Buffer.alloc(100);
  const reads = [cache.read(target, 0, { signal: first.signal }), cache.read(Buffer.alloc(100), 50, { signal: second.signal })];
  const outcomes = Promise.allSettled(reads);
  const read = await source.next();
  first.abort();
  await turns();
  t.notOk(read.aborted);
  second.abort();
  t.ok(read.aborted);
  for (const outcome of await outcomes) t.match(outcome, { status: 'rejected', reason: { code: 'ERR_ABORTED' } });
  await holds(() => memory.taken === 0);
  t.equal(clock.timerCount, 1, 'only the watch of free space');
  t.ok(target.equals(Buffer.alloc(100)), 'nothing was written after the end');
});

t.test('who asks right after the last one has left gets a flight of his own', async (t) => {
  const { cache, source, expect } = open(t);
  const controller = new AbortController();
  const left = t.rejects(cache.read(Buffer.alloc(10), 0, { signal: controller.signal }), { code: 'ERR_ABORTED' });
  await source.next();
  controller.abort();
  const joined = expect(t, 0, chunkBytes);
  (await source.next()).send().end();
  await joined;
  await left;
});

t.test('who asks when a request that everybody has left gets its memory at last is not given up with it', async (t) => {
  const memory = new Budget(chunkBytes);
  const { cache, source, expect } = open(t, { memory });
  await memory.take(chunkBytes);
  const controller = new AbortController();
  const left = cache.read(Buffer.alloc(10), 0, { signal: controller.signal });
  await turns();
  controller.abort();
  await t.rejects(left, { code: 'ERR_ABORTED' });
  memory.release(chunkBytes);
  // One turn of microtasks later the fetch has begun, unless it was spared.
  await Promise.resolve();
  await Promise.resolve();
  const joined = expect(t, 0, chunkBytes);
  source.answerAll();
  await joined;
  t.equal(source.reads.length, 1, 'nothing was fetched for nobody');
  await holds(() => memory.taken === 0);
});

t.test('a signal that is aborted already asks for nothing', async (t) => {
  const { cache, source } = open(t);
  await t.rejects(cache.read(Buffer.alloc(4 * chunkBytes), 0, { signal: AbortSignal.abort() }), { code: 'ERR_ABORTED' });
  await turns();
  t.equal(source.reads.length, 0);
});

t.test('the deadline counts from the first chunk that has to be awaited, and the others go on', async (t) => {
  const { cache, source, clock, memory, expect } = open(t, { deadlineMs: 1000 });
  const late = cache.read(Buffer.alloc(2 * chunkBytes), 0);
  const read = await source.next();
  clock.advance(600);
  const patient = expect(t, chunkBytes, 100);
  clock.advance(399);
  await turns();
  clock.advance(1);
  await t.rejects(late, { code: 'ERR_DEADLINE' });
  t.notOk(read.aborted, 'somebody still waits for the second chunk');
  read.send().end();
  await patient;
  await holds(() => memory.taken === 0);
  t.equal(clock.timerCount, 1);
});

t.test('a deadline ends a wait in the queue, and one for memory', async (t) => {
  const memory = new Budget(chunkBytes);
  const { cache, source, clock } = open(t, { memory, deadlineMs: 1000, limits: { demandRequests: 1 } });
  await memory.take(chunkBytes);
  const waits = [0, 4, 8].map((chunk) => cache.read(Buffer.alloc(10), chunk * chunkBytes));
  const outcomes = Promise.allSettled(waits);
  await turns();
  clock.advance(1000);
  for (const outcome of await outcomes) t.match(outcome, { status: 'rejected', reason: { code: 'ERR_DEADLINE' } });
  memory.release(chunkBytes);
  await turns();
  t.equal(source.reads.length, 0);
  t.equal(memory.taken, 0);
});

t.test('the target is not written after its promise has settled', async (t) => {
  const { cache, source, clock, expect } = open(t, { deadlineMs: 1000 });
  const target = Buffer.alloc(2 * chunkBytes, 0x11);
  const late = cache.read(target, 0);
  const read = await source.next();
  read.send(chunkBytes);
  clock.advance(500);
  const other = expect(t, chunkBytes, chunkBytes);
  clock.advance(500);
  await t.rejects(late, { code: 'ERR_DEADLINE' });
  target.fill(0x22);
  read.send().end();
  await other;
  await turns();
  t.ok(target.every((byte) => byte === 0x22));
});

t.test('a source that fails fails those who wait for what it did not deliver, and the next read tries anew', async (t) => {
  const { cache, source, store, memory, expect } = open(t);
  const outcomes = Promise.allSettled([
    cache.read(Buffer.alloc(100), 0),
    cache.read(Buffer.alloc(100), 2 * chunkBytes),
    cache.ensure(0, 3 * chunkBytes),
  ]);
  // Chunk 1 is wanted by the fill alone.
  const read = await source.next();
  t.equal(read.lengthBytes, 3 * chunkBytes);
  read.send(chunkBytes + 5);
  read.fail(Object.assign(new Error('gone'), { code: 'ERR_ORIGIN_UNAVAILABLE' }));
  const [first, third, filled] = await outcomes;
  t.match(first, { status: 'fulfilled', value: 'origin' });
  t.match(third, { status: 'rejected', reason: { code: 'ERR_ORIGIN_UNAVAILABLE' } });
  t.match(filled, { status: 'rejected', reason: { code: 'ERR_ORIGIN_UNAVAILABLE' } });
  await holds(() => store.state(0) === ChunkState.present && memory.taken === 0);
  source.answerAll();
  await expect(t, 0, 3 * chunkBytes);
  t.equal(source.reads.at(-1)?.offset, chunkBytes, 'the prefix was kept');
});

t.test('readahead: a sequential reader finds its chunks fetched or on their way, each once', async (t) => {
  const { source, expect, memory } = open(t, { chunkCount: 64, readaheadChunks: 8 });
  source.answerAll();
  for (let at = 0; at < 64 * chunkBytes; at += 4096) await expect(t, at, 4096);
  const fetched = source.reads.reduce((bytes, read) => bytes + read.lengthBytes, 0);
  t.equal(fetched, 64 * chunkBytes);
  t.ok(source.reads.filter((read) => read.options.priority === 'prefetch').length > 3);
  await holds(() => memory.taken === 0);
});

t.test('a reader whose deadline passes does not end a prefetch that it had joined', async (t) => {
  const { cache, source, clock, store, expect } = open(t, { readaheadChunks: 4, deadlineMs: 1000 });
  for (const chunk of [0, 1]) {
    const read = expect(t, chunk * chunkBytes, 100);
    (await source.next()).send().end();
    await read;
  }
  const prefetch = await source.next();
  t.match(prefetch, { offset: 2 * chunkBytes, options: { priority: 'prefetch' } });
  const joined = cache.read(Buffer.alloc(10), 2 * chunkBytes);
  await turns();
  clock.advance(1000);
  await t.rejects(joined, { code: 'ERR_DEADLINE' });
  t.notOk(prefetch.aborted);
  prefetch.send().end();
  await holds(() => store.state(2) === ChunkState.present);
  source.answerAll();
});

t.test('zeros of the source become zeros without data, on both sides of a chunk border', async (t) => {
  const content = Buffer.alloc(4 * chunkBytes);
  content.fill(7, 0, 100);
  const { cache, source, store, expect } = open(t, { content });
  const all = expect(t, 0, 4 * chunkBytes);
  (await source.next())
    .send(100)
    .zeroes(4 * chunkBytes - 100)
    .end();
  await all;
  await holds(() => store.state(3) === ChunkState.zero && store.state(0) === ChunkState.present);
  t.ok(cache.isZeroNow(chunkBytes, 3 * chunkBytes));
  t.notOk(cache.isZeroNow(0, 2 * chunkBytes));
  t.same(cache.extents(50, 3 * chunkBytes, 10), [
    { lengthBytes: chunkBytes - 50, zero: false, hole: false },
    { lengthBytes: 2 * chunkBytes + 50, zero: true, hole: true },
  ]);
  t.same(cache.cachedExtents(10, 20, 1), [{ lengthBytes: 20, cached: true }]);
  t.match(cache.metrics, { fetchedBytes: 100, zeroBytes: 4 * chunkBytes - 100, fetches: 1, missedChunks: 4 });
});

t.test('closing: every request under way settles, the store is closed, nothing is asked for afterwards', async (t) => {
  const memory = new Budget(2 * chunkBytes);
  const { cache, source, clock, expect, store } = open(t, { memory, limits: { demandRequests: 2, maxRunChunks: 1 }, deadlineMs: 1000 });
  source.script = (read) => read.send().end();
  await expect(t, 15 * chunkBytes, 100);
  source.script = undefined;
  await memory.take(chunkBytes);
  const requests = [
    cache.read(Buffer.alloc(10), 0),
    cache.read(Buffer.alloc(10), 2 * chunkBytes),
    cache.ensure(4 * chunkBytes, 5 * chunkBytes),
    cache.read(Buffer.alloc(2 * chunkBytes), 14 * chunkBytes),
  ];
  const outcomes = Promise.allSettled(requests);
  const running = await source.next();
  const closing = cache.close();
  t.ok(running.aborted);
  const done = await outcomes;
  t.ok(
    done.every((outcome) => outcome.status === 'rejected'),
    'also those that wait for memory that others hold',
  );
  await closing;
  memory.release(chunkBytes);
  await turns();
  t.equal(memory.taken, 0);
  t.equal(source.reads.length, 2);
  await t.rejects(cache.read(Buffer.alloc(10), 0), { code: 'ERR_CLOSED' });
  await t.rejects(cache.ensure(0, 10), { code: 'ERR_CLOSED' });
  t.notOk(cache.readNow(Buffer.alloc(10), 0, 10, 15 * chunkBytes));
  t.notOk(cache.isZeroNow(0, 10));
  t.equal(clock.timerCount, 1);
  t.equal(store.dataBytes, 0);
  await cache.close();
});

t.test('closing while a store is under way waits for it', async (t) => {
  const { cache, source, store, expect } = open(t);
  let release = (): void => {};
  store.storeGate = new Promise((resolve) => {
    release = resolve;
  });
  const read = expect(t, 0, 10);
  const filled = cache.ensure(0, 10);
  (await source.next()).send().end();
  await read;
  let closed = false;
  const closing = cache.close().then(() => {
    closed = true;
  });
  await turns();
  t.notOk(closed);
  release();
  await filled;
  await closing;
});
