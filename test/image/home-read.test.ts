/** A cache that reads from itself as its home: in pieces, and within memory of its own. */
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Budget } from '../../src/base/budget.js';
import type { PlacedSink } from '../../src/block/sink.js';
import { BufferPools } from '../../src/cache/buffer-pool.js';
import { ChunkCache } from '../../src/cache/chunk-cache.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import { readAsHome } from '../../src/image/home-read.js';
import { ManualClock } from '../cache/manual-clock.js';
import { ScriptedSource } from '../cache/scripted-source.js';
import { chunkBytes, openStore } from '../cache/subject.js';
import { pattern } from '../conformance/content.js';
import { holds } from '../support/wait.js';

const runChunks = 4;
const content = pattern(8 * chunkBytes);

interface Self {
  cache: ChunkCache;
  origin: ScriptedSource;
  /** Memory of the guest path: one run. */
  outer: Budget;
  /** Memory for stored chunks: less than one run. */
  inner: Budget;
}

/** @param before runs in a flight of the guest path, before it reads the cache as its home */
function open(t: Test, before: (self: Self) => Promise<unknown> = () => Promise.resolve()): Self {
  let close = async (): Promise<void> => {};
  t.teardown(() => close());
  const folder = t.testdir({});
  const clock = new ManualClock();
  const log = pino({ level: 'silent' });
  const space = new CacheSpace({
    path: folder,
    budgetBytes: 2 ** 40,
    minFreeBytes: 0,
    clock,
    log,
    freeBytes: () => Promise.resolve(2 ** 50),
  });
  const store = openStore(folder, content.length);
  space.add(store);
  const origin = new ScriptedSource(content);
  const outer = new Budget(runChunks * chunkBytes);
  const inner = new Budget(chunkBytes);
  const cache: ChunkCache = new ChunkCache({
    name: 'image',
    store,
    source: origin,
    guestPath: {
      source: {
        read: async (...read) => {
          await before(self);
          await readAsHome(cache, inner, ...read);
        },
      },
      memory: outer,
      isHome: () => false,
    },
    space,
    memory: new Budget(64 * chunkBytes),
    buffers: new BufferPools(2 ** 20),
    limits: { demandRequests: 8, prefetchRequests: 4, maxRunChunks: runChunks },
    readaheadBytes: 0,
    clock,
    log,
  });
  const self: Self = { cache, origin, outer, inner };
  close = async () => {
    await cache.close();
    space.close();
  };
  return self;
}

t.test('chunks pass on before the whole range is there', async (t) => {
  const { cache, origin } = open(t);
  const first = Buffer.alloc(chunkBytes);
  const all = Buffer.alloc(runChunks * chunkBytes);
  const isAllRead = cache.read(all, 0);
  const isFirstRead = cache.read(first, 0);
  const read = await origin.next();
  t.equal(read.lengthBytes, runChunks * chunkBytes, 'the home path asks for the run in one request');
  read.send(chunkBytes);
  t.equal(await isFirstRead, 'origin');
  t.ok(first.equals(content.subarray(0, chunkBytes)), 'the guest has the first chunk while the origin still owes three');
  read.send().end();
  await isAllRead;
  t.ok(all.equals(content.subarray(0, all.length)));
  t.equal(origin.reads.length, 1, 'each chunk came from the origin once');
});

t.test('goes on while the memory of the guest path is full', async (t) => {
  let isFull = false;
  const self = open(t, async ({ cache, outer, origin }) => {
    // This flight holds all of the outer memory; a chunk of its range gets stored meanwhile.
    isFull = outer.taken === outer.limit;
    const isStored = cache.ensure(chunkBytes, chunkBytes, { role: 'home' });
    (await origin.next()).send().end();
    await isStored;
    origin.answerAll();
  });
  const target = Buffer.alloc(runChunks * chunkBytes);
  await self.cache.read(target, 0);
  t.ok(isFull, 'the outer memory was full');
  t.ok(target.equals(content.subarray(0, target.length)));
  t.equal(self.inner.taken, 0, 'the inner memory came back');
  const askedBytes = self.origin.reads.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  t.equal(askedBytes, target.length, 'the origin sent each chunk once');
});

t.test('chunks that arrive out of order come from the store', async (t) => {
  const { cache, origin, inner } = open(t);
  const isAhead = cache.ensure(2 * chunkBytes, chunkBytes, { role: 'home' });
  const ahead = await origin.next();
  const pieces: Buffer[] = [];
  const places: string[] = [];
  const sink: PlacedSink = {
    data: (piece) => void pieces.push(Buffer.from(piece)),
    zeroes: (count) => void pieces.push(Buffer.alloc(count)),
    from: (place) => void places.push(place),
  };
  const isRead = readAsHome(cache, inner, 0, runChunks * chunkBytes, sink, {});
  const front = await origin.next();
  const back = await origin.next();
  ahead.send().end();
  await isAhead;
  t.equal(pieces.length, 0, 'nothing passes before the chunks in front of it');
  back.send().end();
  await holds(() => cache.store.isHeld(3));
  front.send().end();
  await isRead;
  t.ok(Buffer.concat(pieces).equals(content.subarray(0, runChunks * chunkBytes)));
  t.equal(places[0], 'origin');
  t.equal(origin.reads.length, 3, 'each chunk came from the origin once');
});

t.test('an error of the sink fails the read alone', async (t) => {
  const { cache, origin, inner } = open(t);
  const refuse = (): never => {
    throw Object.assign(new Error('refused'), { code: 'ERR_REFUSED' });
  };
  const isRefused = t.rejects(readAsHome(cache, inner, 0, chunkBytes, { data: refuse, zeroes: refuse, from: () => {} }, {}), {
    code: 'ERR_REFUSED',
  });
  const target = Buffer.alloc(chunkBytes);
  const isRead = cache.read(target, 0, { role: 'home' });
  (await origin.next()).send().end();
  await isRefused;
  await isRead;
  t.ok(target.equals(content.subarray(0, chunkBytes)), 'a request that shares the flight has its bytes');
});

t.test('a chunk of zeros is stored once for both paths', async (t) => {
  const { cache, origin } = open(t);
  const isStored = cache.ensure(0, chunkBytes);
  (await origin.next()).zeroes(chunkBytes).end();
  await isStored;
  t.ok(cache.store.isZero(0, chunkBytes));
  t.equal(cache.metrics.unstoredChunks, 0);
});
