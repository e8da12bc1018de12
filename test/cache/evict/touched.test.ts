/** What guests touch of an image, through its cache: asked for is touched, whether it was there or not; what peers and fills ask for is not. */
import t from 'tap';
import { chunkBytes, open } from '../subject.js';

const touchedOf = (cache: ReturnType<typeof open>['cache']): number[] =>
  Array.from({ length: 16 }, (_, chunk) => chunk).filter((chunk) => cache.touched.has(chunk));

t.test('hits, misses and zeros of guests, and nobody else', async (t) => {
  const { cache, source, store } = open(t);
  source.script = (read) => read.send().end();
  const target = Buffer.alloc(2 * chunkBytes);
  await cache.read(target.subarray(0, 10), 5 * chunkBytes - 5);
  t.same(touchedOf(cache), [4, 5], 'missed');
  await cache.read(target, 8 * chunkBytes, { role: 'home' });
  await cache.ensure(8 * chunkBytes, 2 * chunkBytes, { background: true });
  await cache.read(target, 8 * chunkBytes, { role: 'held' });
  t.equal(store.readNow(target, 0, target.length, 8 * chunkBytes), true, 'as a peer reads what is here');
  t.same(touchedOf(cache), [4, 5]);
  t.equal(cache.readNow(target, 0, 10, 9 * chunkBytes), true);
  t.same(touchedOf(cache), [4, 5, 9], 'hit');
  await store.storeZero(12);
  t.equal(cache.readNow(target, 0, 10, 12 * chunkBytes), true);
  t.same(touchedOf(cache), [4, 5, 9, 12]);
  t.equal(cache.touched.count, 4);
  await cache.ensure(4 * chunkBytes, 2 * chunkBytes, { background: true });
  await store.evict(Uint32Array.of(4, 5, 9, 12));
  t.equal(store.isHeld(9), false);
  t.equal(cache.touched.count, 4, 'what was evicted was touched all the same');
});

t.test('a closed cache has none, and says so without a complaint', async (t) => {
  const { cache, source } = open(t);
  source.script = (read) => read.send().end();
  await cache.read(Buffer.alloc(10), 0);
  t.equal(cache.touched.count, 1);
  await cache.close();
  t.equal(cache.touched.count, 0);
  t.same(touchedOf(cache), []);
});

t.test('marks of the readahead reach the store, and are taken back', async (t) => {
  const { cache, source, store } = open(t, { readaheadChunks: 4 });
  source.script = (read) => read.send().end();
  const marked = new Set<number>();
  const { setMark } = store;
  store.setMark = (chunk, on) => {
    if (on) marked.add(chunk);
    else marked.delete(chunk);
    setMark.call(store, chunk, on);
  };
  const target = Buffer.alloc(chunkBytes);
  await cache.read(target, 0);
  await cache.read(target, chunkBytes);
  t.same([...marked], [2]);
  await cache.read(target, 2 * chunkBytes);
  t.same([...marked], [3]);
});
