/** No trouble with this host's disk fails, or hangs, a read that the source can answer. */
import { closeSync, openSync, writeSync } from 'node:fs';
import t, { type Test } from 'tap';
import { ChunkState } from '../../src/base/native/chunk.js';
import { readMapHeader, writeMapHeader } from '../../src/cache/store/map-header.js';
import { holds } from '../support/wait.js';
import { systemError } from './faulty-store.js';
import { chunkBytes, open, type Subject, type SubjectOptions, storePaths, turns } from './subject.js';

/** A cache that holds everything. */
async function warm(t: Test, options: SubjectOptions = {}): Promise<Subject> {
  const subject = open(t, options);
  subject.source.answerAll();
  await subject.cache.ensure(0, subject.source.content.length);
  subject.source.reads.length = 0;
  return subject;
}

/** A cache that holds everything, none of it verified: the daemon was killed. */
async function afterCrash(t: Test, damage: (dataPath: string) => void = () => {}): Promise<Subject> {
  const folder = t.testdir({});
  const before = await warm(t, { folder });
  await before.cache.close();
  const { mapPath, dataPath } = storePaths(folder);
  const header = readMapHeader(mapPath);
  if (header === undefined) throw new Error('no header');
  writeMapHeader(mapPath, { ...header, clean: undefined });
  damage(dataPath);
  const subject = open(t, { folder });
  subject.source.answerAll();
  t.equal(subject.store.state(0), ChunkState.unverified);
  return subject;
}

function rot(dataPath: string, chunkIndex: number): void {
  const descriptor = openSync(dataPath, 'r+');
  writeSync(descriptor, Buffer.from('rot'), 0, 3, chunkIndex * chunkBytes + 5);
  closeSync(descriptor);
}

t.test('after a crash what matches is served, what does not is fetched again, and counted', async (t) => {
  const { cache, source, expect, store } = await afterCrash(t, (dataPath) => {
    rot(dataPath, 3);
    rot(dataPath, 9);
  });
  await Promise.all([expect(t, 0, 16 * chunkBytes), expect(t, 100, 10 * chunkBytes), expect(t, 9 * chunkBytes, 10)]);
  // In the order in which the addon's threads found them.
  const reads = source.reads.map((read) => [read.offset, read.lengthBytes] as const).sort(([left], [right]) => left - right);
  t.same(reads, [
    [3 * chunkBytes, chunkBytes],
    [9 * chunkBytes, chunkBytes],
  ]);
  t.equal(cache.metrics.droppedChunks, 2);
  await holds(() => store.state(3) === ChunkState.present && store.state(9) === ChunkState.present);
});

t.test('verifying finds rot after a clean end', async (t) => {
  const folder = t.testdir({});
  const { cache, store, expect, source } = await warm(t, { folder });
  rot(storePaths(folder).dataPath, 5);
  t.equal(await cache.verify(4), true);
  t.equal(await cache.verify(5), false);
  t.equal(store.state(5), ChunkState.absent);
  t.equal(await cache.verify(5), true, 'what is not here is not wrong');
  t.equal(cache.metrics.droppedChunks, 1);
  await expect(t, 5 * chunkBytes, 100);
  t.equal(source.reads.length, 1);
});

t.test('a job that verifies and guests that read the same unverified chunks do not get in each others way', async (t) => {
  const { cache, expect, source, log } = await afterCrash(t);
  const work: Promise<unknown>[] = [];
  for (let chunk = 0; chunk < 16; chunk += 1) {
    work.push(cache.verify(chunk), expect(t, chunk * chunkBytes, 100), cache.verify(chunk));
  }
  await Promise.all(work);
  t.equal(source.reads.length, 0);
  t.equal(cache.metrics.droppedChunks, 0);
  t.same(log, []);
});

t.test('an eviction that takes a chunk from a verify is not counted as rot', async (t) => {
  const { cache, store } = await warm(t);
  const evicted = store.evict(Uint32Array.of(2));
  t.equal(await cache.verify(2), true);
  await evicted;
  t.equal(cache.metrics.droppedChunks, 0);
});

for (const evicts of [true, false]) {
  const disk = evicts ? 'a disk' : 'a disk that can not be written either';
  t.test(`a chunk that ${disk} does not give back is fetched`, async (t) => {
    const { cache, store, source, expect } = await warm(t);
    store.onRead = (chunk) => (chunk === 4 ? systemError('EIO') : undefined);
    if (!evicts) store.onEvict = () => systemError('EIO');
    await expect(t, 4 * chunkBytes + 10, 100);
    await expect(t, 0, 16 * chunkBytes);
    t.ok(
      source.reads.every((read) => read.offset === 4 * chunkBytes && read.lengthBytes === chunkBytes),
      'the others are well',
    );
    t.ok(source.reads.length <= 2);
    t.ok(cache.metrics.droppedChunks >= 1);
  });

  t.test(`a chunk that ${disk} does not let verify is fetched`, async (t) => {
    const { cache, store, source, expect } = await afterCrash(t);
    store.onVerify = (chunk) => (chunk === 4 ? systemError('EIO') : undefined);
    if (!evicts) store.onEvict = () => systemError('EIO');
    await Promise.all([expect(t, 4 * chunkBytes + 10, 100), expect(t, 0, 8 * chunkBytes)]);
    t.equal(source.reads.length, 1);
    t.equal(source.reads[0]?.offset, 4 * chunkBytes);
    t.equal(cache.metrics.droppedChunks, 1);
    store.onVerify = undefined;
    await holds(() => store.state(4) === ChunkState.present);
  });
}

t.test('a disk that takes nothing: reads pass through, fills say so, the state shows it, the log says it once', async (t) => {
  const { cache, store, space, source, expect, log, clock, memory } = open(t);
  source.answerAll();
  store.onStore = () => systemError('EIO');
  for (let chunk = 0; chunk < 8; chunk += 2) await expect(t, chunk * chunkBytes, 100);
  await t.rejects(cache.ensure(0, 10), { code: 'ERR_CACHE_BROKEN' });
  t.equal(space.state, 'broken');
  t.match(space.message, /EIO/);
  t.equal(log.length, 1);
  t.equal(source.reads.length, 5);
  await holds(() => memory.taken === 0);
  t.equal(cache.metrics.unstoredChunks, 5);
  store.onStore = undefined;
  clock.advance(10_001);
  await cache.ensure(0, 10);
  t.equal(space.state, 'ok');
  t.equal(log.length, 2);
});

t.test('what can not be kept is not prefetched: it would be fetched twice', async (t) => {
  const { store, source, expect, space } = open(t, { readaheadChunks: 8 });
  source.answerAll();
  store.onStore = () => systemError('ENOSPC');
  await expect(t, 15 * chunkBytes, 10);
  await holds(() => space.state === 'full');
  for (let chunk = 0; chunk < 12; chunk += 1) await expect(t, chunk * chunkBytes, 100);
  await turns();
  t.equal(source.reads.length, 13);
  t.ok(source.reads.every((read) => read.options.priority === 'demand'));
});

t.test('closing one image does not make the disk look broken to the others', async (t) => {
  const first = open(t);
  const second = open(t, { folder: t.testdir({ second: {} }), space: first.space });
  const filled = Promise.allSettled([first.cache.ensure(0, chunkBytes)]);
  const read = await first.source.next();
  let release = (): void => {};
  first.store.storeGate = new Promise((resolve) => {
    release = resolve;
  });
  read.send().end();
  await turns();
  await first.store.close();
  release();
  t.match((await filled)[0], { status: 'rejected', reason: { code: 'ERR_CLOSED' } });
  t.equal(first.space.state, 'ok');
  second.source.answerAll();
  await second.cache.ensure(0, chunkBytes);
});
