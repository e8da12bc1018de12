/**
 * Random reads against the origin's bytes: unaligned, overlapping, concurrent, over several connections and all forms of reply, through a cache that is cold,
 * warm, or shrinking under the readers. fast-check prints the seed of what fails and makes it small.
 */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Budget } from '../../src/base/budget.js';
import { systemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { BufferPools } from '../../src/cache/buffer-pool.js';
import { ChunkCache } from '../../src/cache/chunk-cache.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import { ChunkStore } from '../../src/cache/store/chunk-store.js';
import { ImageDevice } from '../../src/image/image-device.js';
import { createExportMetrics } from '../../src/server/export-metrics.js';
import { Server } from '../../src/server/server.js';
import { pattern } from '../conformance/content.js';
import { fastPathByDefault } from '../conformance/fast-path.js';
import { enter } from '../conformance/wire/handshake.js';
import type { Replies, Session } from '../conformance/wire/session.js';
import { shortDir } from '../support/short-dir.js';

const kibibyte = 1024;
const chunkBytes = 64 * kibibyte;
const sizeBytes = 40 * chunkBytes + 1234;
const bytes = pattern(sizeBytes, 5);
bytes.fill(0, 10 * chunkBytes, 14 * chunkBytes);
bytes.fill(0, 20 * chunkBytes + 100, 21 * chunkBytes);

/** How the cache stands while reads run. */
type Weather = 'cold' | 'warm' | 'shrinking';

interface Served {
  connect(replies: Replies): Promise<Session>;
  /** Free space on the disk, as the cache is told. */
  setFree(bytes: number): void;
  dataBytes(): number;
  evictedChunks(): number;
  close(): Promise<void>;
}

async function serve(t: Test, readaheadBytes: number): Promise<Served> {
  const folder = shortDir(t);
  let freeBytes = 1024 * 1024 * kibibyte;
  let simulatedMs = 0;
  // Free space is read anew at most once a second of this clock, so the clock runs fast.
  const clock = { nowMs: () => (simulatedMs += 300), after: systemClock.after };
  const common = { clock, log: silentLogger };
  const store = new ChunkStore({ dataPath: join(folder, 'd'), mapPath: join(folder, 'm'), sizeBytes, chunkBytes, recordSeed: 3 });
  const space = new CacheSpace({
    ...common,
    path: folder,
    budgetBytes: 16 * chunkBytes,
    minFreeBytes: 1024 * 1024,
    freeBytes: () => Promise.resolve(freeBytes),
  });
  space.add(store);
  const cache = new ChunkCache({
    ...common,
    clock: systemClock,
    name: 'image',
    store,
    source: {
      read: async (offset, lengthBytes, sink) => {
        for (let at = offset; at < offset + lengthBytes; ) {
          const end = Math.min(offset + lengthBytes, at + 10_000 + (at % 7919));
          await new Promise((resolve) => setImmediate(resolve));
          const inHole = at >= 10 * chunkBytes && end <= 14 * chunkBytes;
          if (inHole) sink.zeroes(end - at);
          else sink.data(bytes.subarray(at, end));
          at = end;
        }
      },
    },
    space,
    memory: new Budget(8 * chunkBytes),
    buffers: new BufferPools(1024 * 1024),
    limits: { demandRequests: 4, prefetchRequests: 2, maxRunChunks: 4 },
    readaheadBytes,
    deadlineMs: 50_000,
  });
  const device = new ImageDevice(cache);
  const metrics = createExportMetrics();
  const server = new Server({
    directory: { list: () => [], open: async () => ({ name: 'image', description: '', device, metrics, release: () => {} }) },
    limits: {
      connectionCount: 20,
      handshakeTimeoutMs: 60_000,
      requestsPerConnection: 16,
      bytesPerConnection: 4 * 1024 * kibibyte,
      requestMemoryBytes: 16 * 1024 * kibibyte,
    },
    log: silentLogger,
    fastPath: fastPathByDefault,
  });
  const path = join(folder, 's');
  await server.listen({ kind: 'unix', path });
  return {
    connect: async (replies) => {
      const stream = createConnection({ path });
      await once(stream, 'connect');
      return await enter(stream, 'image', { replies });
    },
    setFree: (value) => {
      freeBytes = value;
    },
    dataBytes: () => store.dataBytes,
    evictedChunks: () => space.evictedChunks,
    close: async () => {
      await server.stop(1000);
      await device.close();
      space.close();
    },
  };
}

interface Read {
  session: number;
  offset: number;
  lengthBytes: number;
}

const someRead = fc
  .record({
    session: fc.nat(2),
    // Most begin or end near a chunk's edge, where mistakes are.
    anchor: fc.nat(41),
    shift: fc.integer({ min: -600, max: 600 }),
    lengthBytes: fc.oneof(
      fc.integer({ min: 1, max: 1300 }),
      fc.integer({ min: 1, max: 5 * chunkBytes }),
      fc.constant(4096),
      fc.constant(chunkBytes),
    ),
  })
  .map(({ session, anchor, shift, lengthBytes }): Read => {
    const offset = Math.min(Math.max(0, anchor * chunkBytes + shift), sizeBytes - 1);
    return { session, offset, lengthBytes: Math.min(lengthBytes, sizeBytes - offset) };
  });

async function check(served: Served, sessions: Session[], reads: Read[], weather: Weather): Promise<void> {
  const sent = reads.map(({ session, offset, lengthBytes }, index) => {
    if (weather === 'shrinking') served.setFree(index % 3 === 0 ? 1024 * kibibyte : 3 * 1024 * kibibyte);
    const at = sessions[session];
    if (at === undefined) throw new Error('no such session');
    return { at, offset, lengthBytes, cookie: at.send({ type: 0, offset, lengthBytes }) };
  });
  for (const { at, offset, lengthBytes, cookie } of sent) {
    const answer = await at.answer(cookie);
    if (answer.error !== 0) throw new Error(`${lengthBytes} bytes at ${offset}: error ${answer.error} ${answer.message}`);
    if (!answer.data.equals(bytes.subarray(offset, offset + lengthBytes))) throw new Error(`${lengthBytes} bytes at ${offset} are wrong`);
  }
}

for (const [weather, readaheadBytes, runs] of [
  ['cold', 0, 40],
  ['cold', 8 * chunkBytes, 40],
  ['warm', 0, 200],
  ['shrinking', 0, 200],
  ['shrinking', 4 * chunkBytes, 200],
] as const) {
  t.test(`random reads through a cache that is ${weather}, readahead ${readaheadBytes}`, async (t) => {
    const shared = await serve(t, readaheadBytes);
    const sessions = await Promise.all((['simple', 'structured', 'extended'] as const).map((replies) => shared.connect(replies)));
    await fc.assert(
      fc.asyncProperty(fc.array(someRead, { minLength: 1, maxLength: 60 }), async (reads) => {
        if (weather !== 'cold') return await check(shared, sessions, reads, weather);
        const own = await serve(t, readaheadBytes);
        try {
          await check(
            own,
            await Promise.all((['simple', 'structured', 'extended'] as const).map((replies) => own.connect(replies))),
            reads,
            weather,
          );
        } finally {
          await own.close();
        }
        return undefined;
      }),
      { numRuns: runs, endOnFailure: true },
    );
    t.ok(shared.dataBytes() <= 16 * chunkBytes, 'the budget holds');
    if (weather === 'shrinking') t.ok(shared.evictedChunks() > 100, `${shared.evictedChunks()} chunks were evicted`);
    await shared.close();
  });
}
