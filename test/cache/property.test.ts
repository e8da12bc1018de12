/**
 * Random reads, fills, verifications and give-ups through a cache whose source and disk fail at random and whose budget is small, against the plain bytes. Never a
 * wrong byte, every promise settles, and nothing is left behind. fast-check prints the seed of what fails and makes it small.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { ChunkState } from '../../src/base/native/chunk.js';
import { pattern } from '../conformance/content.js';
import { holds } from '../support/wait.js';
import { systemError } from './faulty-store.js';
import type { SourceRead } from './scripted-source.js';
import { chunkBytes, open, type Subject, turns } from './subject.js';

const chunkCount = 24;
const sizeBytes = (chunkCount - 1) * chunkBytes + 321;
const content = pattern(sizeBytes, 17);
content.fill(0, 6 * chunkBytes, 9 * chunkBytes);
content.fill(0, 12 * chunkBytes + 50, 13 * chunkBytes + 60);

interface Request {
  kind: 'read' | 'readNow' | 'ensure' | 'verify';
  offset: number;
  lengthBytes: number;
  /** Given up after so many turns; 0 never. */
  patienceTurns: number;
  /** Turns before the next request is made. */
  pauseTurns: number;
}

const request: fc.Arbitrary<Request> = fc
  .record({
    kind: fc.oneof(
      { weight: 6, arbitrary: fc.constant('read' as const) },
      fc.constantFrom('readNow' as const, 'ensure' as const, 'verify' as const),
    ),
    anchor: fc.nat(chunkCount),
    shift: fc.integer({ min: -700, max: 700 }),
    lengthBytes: fc.oneof(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 6 * chunkBytes })),
    patienceTurns: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 1, max: 6 })),
    pauseTurns: fc.oneof(fc.constant(0), fc.nat(3)),
  })
  .map(({ anchor, shift, lengthBytes, ...rest }) => {
    const offset = Math.min(Math.max(0, anchor * chunkBytes + shift), sizeBytes - 1);
    return { ...rest, offset, lengthBytes: Math.min(lengthBytes, sizeBytes - offset) };
  });

/** A stream of small numbers that the seed decides. */
function dice(seed: number): (sides: number) => number {
  let state = seed | 1;
  return (sides) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % sides;
  };
}

/** Answers a read in small pieces over several turns; `failsOneIn` of them break off midway. */
async function answer(read: SourceRead, roll: (sides: number) => number, failsOneIn: number): Promise<void> {
  const breakAt = failsOneIn > 0 && roll(failsOneIn) === 0 ? roll(read.lengthBytes) : read.lengthBytes;
  for (let sent = 0; sent < breakAt; ) {
    if (roll(3) === 0) await turns(1);
    if (read.aborted) return;
    const count = Math.min(breakAt - sent, 1 + roll(2 * chunkBytes));
    const from = read.offset + sent;
    if (content.subarray(from, from + count).every((byte) => byte === 0)) read.zeroes(count);
    else read.send(count);
    sent += count;
  }
  if (breakAt < read.lengthBytes) read.fail(Object.assign(new Error('broke off'), { code: 'ERR_ORIGIN_UNAVAILABLE' }));
  else read.end();
}

async function perform(subject: Subject, request: Request, mayFail: boolean): Promise<void> {
  const { cache } = subject;
  const { offset, lengthBytes, patienceTurns } = request;
  const expected = content.subarray(offset, offset + lengthBytes);
  const controller = new AbortController();
  const signal = patienceTurns > 0 ? controller.signal : undefined;
  if (patienceTurns > 0) void turns(patienceTurns).then(() => controller.abort());
  try {
    if (request.kind === 'verify') {
      await cache.verify(Math.floor(offset / chunkBytes));
    } else if (request.kind === 'ensure') {
      await cache.ensure(offset, lengthBytes, { signal });
    } else {
      const target = Buffer.alloc(lengthBytes, 0xdd);
      const hit = request.kind === 'readNow' && cache.readNow(target, 0, lengthBytes, offset);
      if (!hit) await cache.read(target, offset, { signal });
      if (!target.equals(expected)) throw new Error(`wrong bytes at ${offset}, ${lengthBytes} long, ${request.kind}`);
    }
  } catch (error) {
    const code = errorCode(error);
    const allowed =
      (code === 'ERR_ABORTED' && patienceTurns > 0) ||
      (mayFail && code === 'ERR_ORIGIN_UNAVAILABLE') ||
      // A fill promises the disk, which may not have it.
      (request.kind === 'ensure' && ['ERR_CACHE_FULL', 'ERR_CACHE_BROKEN', 'EIO', 'EBUSY'].includes(code));
    if (!allowed) throw error;
  }
}

interface World {
  seed: number;
  requests: Request[];
  sourceFailsOneIn: number;
  diskFailsOneIn: number;
  budgetChunks: number;
  memoryChunks: number;
  readaheadChunks: number;
}

async function live(t: Test, world: World): Promise<Subject> {
  const roll = dice(world.seed);
  const subject = open(t, {
    content,
    budgetBytes: world.budgetChunks * chunkBytes,
    memoryBytes: world.memoryChunks * chunkBytes,
    readaheadChunks: world.readaheadChunks,
    // More than passes in all of it: nobody is late, however long the disk takes.
    deadlineMs: 300_000,
    limits: { demandRequests: 3, prefetchRequests: 2, maxRunChunks: 4 },
    folder: t.testdir({}),
  });
  const { source, store, cache, memory, clock } = subject;
  source.script = (read) => void answer(read, roll, world.sourceFailsOneIn);
  const fault = () => (world.diskFailsOneIn > 0 && roll(world.diskFailsOneIn) === 0 ? systemError('EIO') : undefined);
  store.onRead = fault;
  store.onStore = fault;
  store.onVerify = fault;
  store.onEvict = fault;
  const work: Promise<void>[] = [];
  for (const request of world.requests) {
    work.push(perform(subject, request, world.sourceFailsOneIn > 0));
    if (request.pauseTurns > 0) await turns(request.pauseTurns);
    // Time passes, so that a disk that rested is tried again.
    if (roll(8) === 0) clock.advance(4000);
  }
  const outcomes = await Promise.allSettled(work);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  await holds(() => memory.taken === 0);
  if (subject.space.usedBytes > subject.space.budgetBytes) throw new Error('more than the budget is used');
  // What the cache holds now is right.
  store.onRead = store.onStore = store.onVerify = store.onEvict = undefined;
  const target = Buffer.alloc(chunkBytes);
  for (let chunk = 0; chunk < chunkCount; chunk += 1) {
    const length = store.lengthOf(chunk);
    if (store.state(chunk) === ChunkState.absent || !(await store.read(target, 0, length, chunk * chunkBytes))) continue;
    const expected = content.subarray(chunk * chunkBytes, chunk * chunkBytes + length);
    if (!target.subarray(0, length).equals(expected)) throw new Error(`chunk ${chunk} is stored wrong`);
  }
  await cache.close();
  if (clock.timerCount !== 1) throw new Error(`${clock.timerCount - 1} timers are left`);
  subject.space.close();
  return subject;
}

const someWorld: fc.Arbitrary<World> = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  requests: fc.array(request, { minLength: 1, maxLength: 60 }),
  sourceFailsOneIn: fc.constantFrom(0, 3, 10),
  diskFailsOneIn: fc.constantFrom(0, 0, 3, 20),
  budgetChunks: fc.constantFrom(1, 5, 16, 1000),
  memoryChunks: fc.constantFrom(1, 3, 12, 100),
  readaheadChunks: fc.constantFrom(0, 2, 8),
});

t.test('whatever fails: right bytes or an honest error, and nothing left behind', async (t) => {
  const property = fc.asyncProperty(someWorld, async (world) => {
    await live(t, world);
  });
  await fc.assert(property, { numRuns: 150 });
});

t.test('where nothing is evicted and nothing fails, each byte comes from the source once', async (t) => {
  const property = fc.asyncProperty(
    fc.array(request, { minLength: 1, maxLength: 60 }),
    fc.nat(8),
    fc.nat(2 ** 30),
    async (requests, readahead, seed) => {
      const { source } = await live(t, {
        seed: seed + 1,
        requests: requests.map((request) => ({ ...request, patienceTurns: 0 })),
        sourceFailsOneIn: 0,
        diskFailsOneIn: 0,
        budgetChunks: 1000,
        memoryChunks: 12,
        readaheadChunks: readahead,
      });
      const counts = new Map<number, number>();
      for (const read of source.reads) {
        for (let at = read.offset; at < read.offset + read.lengthBytes; at += chunkBytes) {
          counts.set(at, (counts.get(at) ?? 0) + 1);
        }
      }
      for (const [offset, count] of counts) if (count > 1) throw new Error(`chunk at ${offset} was fetched ${count} times`);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});
