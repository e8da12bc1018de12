/** One request taken apart: whatever the pieces, every chunk gets exactly its bytes or an error. */

import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { RangeSink } from '../../src/block/sink.js';
import { BufferPool } from '../../src/cache/buffer-pool.js';
import { CacheMetrics } from '../../src/cache/cache-metrics.js';
import { Fetch } from '../../src/cache/fetch.js';
import type { Run } from '../../src/cache/fetch-queue.js';
import { Flight, type FlightWaiter } from '../../src/cache/flight.js';
import { pattern } from '../conformance/content.js';
import { chunkBytes, openStore } from './subject.js';

const sizeBytes = 5 * chunkBytes + 777;
const content = pattern(sizeBytes, 9);
content.fill(0, chunkBytes + 100, 3 * chunkBytes + 50);

class Waiter implements FlightWaiter {
  readonly wantsStored: boolean;
  readonly got = new Map<number, Buffer | 'zeros' | { error: unknown }>();
  constructor(wantsStored: boolean) {
    this.wantsStored = wantsStored;
  }
  neededBytes(): number {
    return chunkBytes;
  }
  arrived(chunkIndex: number, buffer: Buffer | undefined): void {
    if (this.got.has(chunkIndex)) throw new Error('told twice');
    this.got.set(chunkIndex, buffer === undefined ? 'zeros' : Buffer.from(buffer));
  }
  failed(chunkIndex: number, error: unknown): void {
    if (this.got.has(chunkIndex)) throw new Error('told twice');
    this.got.set(chunkIndex, { error });
  }
}

type Script = (sink: RangeSink) => Promise<void> | void;

interface Outcome {
  bytes: Waiter;
  stored: Waiter;
  kept: Map<number, Buffer | undefined>;
  finished: number[];
  metrics: CacheMetrics;
  flights: Flight[];
  askedAgain: number[];
}

async function fetch(
  t: Test,
  chunks: { first: number; count: number },
  script: Script,
  keepFails?: Error,
  priority: Run['priority'] = 'demand',
): Promise<Outcome> {
  const store = openStore(t.testdir({}), sizeBytes);
  const bytes = new Waiter(false);
  const stored = new Waiter(true);
  const flights = Array.from({ length: chunks.count }, (_, index) => new Flight(chunks.first + index, priority));
  for (const flight of flights) flight.waiters.add(bytes).add(stored);
  const kept = new Map<number, Buffer | undefined>();
  const finished: number[] = [];
  const askedAgain: number[] = [];
  const metrics = new CacheMetrics();
  const length = (index: number): number => store.lengthOf(index);
  await new Fetch({
    run: { flights, priority },
    source: { read: async (_offset, _length, sink) => await script(sink) },
    store,
    pool: new BufferPool(chunkBytes, 2),
    metrics,
    signal: new AbortController().signal,
    keep: async (flight) => {
      const copy = flight.buffer === undefined ? undefined : Buffer.from(flight.buffer.subarray(0, length(flight.chunkIndex)));
      await new Promise((resolve) => setImmediate(resolve));
      if (keepFails !== undefined) throw keepFails;
      kept.set(flight.chunkIndex, copy);
    },
    finish: (flight) => finished.push(flight.chunkIndex),
    askAgain: (flight) => askedAgain.push(flight.chunkIndex),
  }).run();
  await store.close();
  return { bytes, stored, kept, finished, metrics, flights, askedAgain };
}

function chunkOf(index: number): Buffer {
  return content.subarray(index * chunkBytes, Math.min(sizeBytes, (index + 1) * chunkBytes));
}

function sameChunk(index: number, seen: Buffer | 'zeros' | undefined | { error: unknown }): boolean {
  const expected = chunkOf(index);
  if (seen === 'zeros' || seen === undefined) return expected.every((byte) => byte === 0);
  return Buffer.isBuffer(seen) && seen.subarray(0, expected.length).equals(expected);
}

t.test('pieces of any size, and zeros across borders of chunks, end in the right chunks', async (t) => {
  const piece = fc.record({ lengthBytes: fc.integer({ min: 0, max: 3 * chunkBytes }), zeroes: fc.boolean() });
  const property = fc.asyncProperty(
    fc.array(piece, { maxLength: 30 }),
    fc.nat(5),
    fc.integer({ min: 1, max: 6 }),
    async (pieces, first, wanted) => {
      const count = Math.min(wanted, 6 - first);
      const start = first * chunkBytes;
      const end = Math.min(sizeBytes, start + count * chunkBytes);
      const outcome = await fetch(t, { first, count }, (sink) => {
        let at = start;
        for (const { lengthBytes, zeroes } of [...pieces, { lengthBytes: sizeBytes, zeroes: false }]) {
          const to = Math.min(end, at + lengthBytes);
          if (zeroes && content.subarray(at, to).every((byte) => byte === 0)) sink.zeroes(to - at);
          else sink.data(Buffer.from(content.subarray(at, to)));
          at = to;
        }
      });
      for (let index = first; index < first + count; index += 1) {
        if (!sameChunk(index, outcome.bytes.got.get(index))) throw new Error(`chunk ${index} for a reader`);
        if (!outcome.kept.has(index) || !sameChunk(index, outcome.kept.get(index))) throw new Error(`chunk ${index} for the store`);
        if (!outcome.stored.got.has(index)) throw new Error(`nobody told that ${index} is stored`);
      }
      if (outcome.metrics.fetchedBytes + outcome.metrics.zeroBytes !== end - start) throw new Error('bytes are counted wrong');
      if (outcome.flights.some((flight) => flight.buffer !== undefined || flight.waiters.size > 0)) throw new Error('something is left');
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

t.test('a chunk is answered as soon as it is whole, and told to be stored only when it is', async (t) => {
  const seen: string[] = [];
  const outcome = await fetch(t, { first: 0, count: 2 }, async (sink) => {
    sink.data(content.subarray(0, chunkBytes - 1));
    sink.data(content.subarray(chunkBytes - 1, chunkBytes + 5));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    seen.push('half way');
    sink.data(content.subarray(chunkBytes + 5, 2 * chunkBytes));
  });
  t.same(outcome.finished, [0, 1]);
  t.same(seen, ['half way']);
  t.ok(sameChunk(0, outcome.bytes.got.get(0)) && sameChunk(1, outcome.bytes.got.get(1)));
});

t.test('a failure midway keeps what came before and fails the rest', async (t) => {
  const failure = new Error('midway');
  const outcome = await fetch(t, { first: 0, count: 4 }, (sink) => {
    sink.data(content.subarray(0, chunkBytes + 300));
    throw failure;
  });
  t.ok(sameChunk(0, outcome.bytes.got.get(0)));
  t.same([...outcome.kept.keys()], [0]);
  for (const index of [1, 2, 3]) {
    t.same(outcome.bytes.got.get(index), { error: failure });
    t.same(outcome.stored.got.get(index), { error: failure });
  }
  t.equal(outcome.metrics.failedFetches, 1);
  t.same([...outcome.finished].sort(), [0, 1, 2, 3]);
  t.ok(outcome.flights.every((flight) => flight.buffer === undefined && flight.waiters.size === 0));
});

t.test('a source that ends early, and one that sends too much', async (t) => {
  const short = await fetch(t, { first: 0, count: 2 }, (sink) => sink.data(content.subarray(0, 2 * chunkBytes - 1)));
  t.ok(sameChunk(0, short.bytes.got.get(0)));
  t.match(short.bytes.got.get(1), { error: { code: 'ERR_SHORT_READ' } });
  let refusal: unknown;
  const long = await fetch(t, { first: 0, count: 2 }, (sink) => {
    try {
      sink.data(content.subarray(0, 2 * chunkBytes + 1));
    } catch (error) {
      refusal = error;
    }
  });
  t.match(refusal, { code: 'ERR_LONG_READ' });
  t.ok(sameChunk(0, long.bytes.got.get(0)) && sameChunk(1, long.bytes.got.get(1)), 'what was asked for is right all the same');
});

t.test('a source that goes on after it has failed is not listened to', async (t) => {
  let late: RangeSink | undefined;
  const outcome = await fetch(t, { first: 0, count: 2 }, (sink) => {
    late = sink;
    sink.data(content.subarray(0, 100));
    throw new Error('gone');
  });
  t.throws(() => late?.data(content.subarray(100, 2 * chunkBytes)), { code: 'ERR_LONG_READ' });
  t.throws(() => late?.zeroes(10), { code: 'ERR_LONG_READ' });
  t.equal(outcome.kept.size, 0);
  t.ok(outcome.flights.every((flight) => flight.buffer === undefined));
});

t.test('what can not be kept reaches readers all the same', async (t) => {
  const full = new Error('full');
  const outcome = await fetch(t, { first: 4, count: 2 }, (sink) => sink.data(content.subarray(4 * chunkBytes)), full);
  t.ok(sameChunk(4, outcome.bytes.got.get(4)) && sameChunk(5, outcome.bytes.got.get(5)));
  t.same(outcome.stored.got.get(5), { error: full });
  t.equal(outcome.metrics.unstoredChunks, 2);
});

t.test('a prefetch that fails is asked for again where somebody has come to wait for it', async (t) => {
  const script = async (sink: RangeSink): Promise<void> => {
    sink.data(content.subarray(0, chunkBytes + 50));
    throw new Error('the origin is away');
  };
  const { bytes, askedAgain, finished, flights } = await fetch(t, { first: 0, count: 3 }, script, undefined, 'prefetch');
  t.ok(sameChunk(0, bytes.got.get(0)), 'what arrived is answered');
  t.same(askedAgain, [1, 2]);
  t.same(finished, [0]);
  t.notOk(bytes.got.has(1) || bytes.got.has(2), 'nobody is told of a failure');
  t.equal(flights[1]?.filledBytes, 0, 'from its first byte');
});
