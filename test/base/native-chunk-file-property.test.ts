/** Random histories of a chunk file against the image that it caches: whatever is read is the image's, and what is counted is there. */
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { errorCode } from '../../src/base/error.js';
import { type ChunkFileOptions, ChunkState, type NativeChunkFile, ReadNow } from '../../src/base/native/chunk.js';
import { native } from '../../src/base/native/loader.js';

const chunkBytes = 8192;
const chunkCount = 24;
const sizeBytes = chunkCount * chunkBytes - 3000;

/** Every third chunk is zeros; no two others are alike anywhere. */
const image = Buffer.alloc(sizeBytes);
for (let at = 0; at + 4 <= sizeBytes; at += 4) {
  if (Math.floor(at / chunkBytes) % 3 !== 1) image.writeUInt32LE(Math.imul(at + 1, 2654435761) >>> 0, at);
}
const isZeroChunk = (index: number): boolean => index % 3 === 1;
const lengthOf = (index: number): number => Math.min(chunkBytes, sizeBytes - index * chunkBytes);
const chunkAt = (index: number): Buffer => image.subarray(index * chunkBytes, index * chunkBytes + lengthOf(index));

type Step =
  | { kind: 'store' | 'verify' | 'storeZero'; index: number }
  | { kind: 'evict'; indices: number[] }
  | { kind: 'read' | 'readNow'; offset: number; lengthBytes: number }
  | { kind: 'sweepOut'; count: number };

const index = fc.nat(chunkCount - 1);
const range = fc.tuple(fc.nat(sizeBytes - 1), fc.nat(4 * chunkBytes));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('store' as const), index }) },
  fc.record({ kind: fc.constant('verify' as const), index }),
  fc.record({ kind: fc.constant('storeZero' as const), index: fc.nat(7).map((third) => third * 3 + 1) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('evict' as const), indices: fc.array(index, { maxLength: 6 }) }) },
  fc.record({ kind: fc.constant('sweepOut' as const), count: fc.nat(4) }),
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom('read' as const, 'readNow' as const), range)
      .map(([kind, [offset, length]]) => ({ kind, offset, lengthBytes: Math.min(length, sizeBytes - offset) })),
  },
);

/** Runs one step; throws if a byte is wrong. */
async function run(file: NativeChunkFile, step: Step): Promise<void> {
  switch (step.kind) {
    case 'store':
      await file.store(step.index, chunkAt(step.index), 0);
      return;
    case 'storeZero':
      await file.storeZero(step.index, 1);
      return;
    case 'verify':
      await file.verify(step.index);
      return;
    case 'evict':
      await file.evict(Uint32Array.from(step.indices));
      return;
    case 'sweepOut':
      await file.evict(file.sweep(0, chunkCount, step.count).slice(1));
      return;
    default: {
      const target = Buffer.alloc(step.lengthBytes, 0xee);
      const hit =
        step.kind === 'read'
          ? await file.read(target, 0, step.lengthBytes, step.offset)
          : file.readNow(target, 0, step.lengthBytes, step.offset) === ReadNow.hit;
      if (hit && !target.equals(image.subarray(step.offset, step.offset + step.lengthBytes))) throw new Error('wrong bytes');
    }
  }
}

async function settle(calls: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(calls)) {
    if (result.status === 'rejected' && errorCode(result.reason) !== 'EBUSY') throw result.reason;
  }
}

/** States as they must be, counters as the states say, every readable chunk right. */
async function check(file: NativeChunkFile): Promise<void> {
  let dataBytes = 0;
  let zeroBytes = 0;
  const target = Buffer.alloc(chunkBytes);
  for (let at = 0; at < chunkCount; at += 1) {
    const state = file.state(at);
    if (state === ChunkState.absent) continue;
    if (state === ChunkState.zero) zeroBytes += lengthOf(at);
    else dataBytes += lengthOf(at);
    if ((state === ChunkState.zero) !== isZeroChunk(at)) throw new Error(`chunk ${at} is in state ${state}`);
    if (!(await file.verify(at))) throw new Error(`chunk ${at} does not verify`);
    await run(file, { kind: 'read', offset: at * chunkBytes, lengthBytes: lengthOf(at) });
    if (!(await file.read(target, 0, lengthOf(at), at * chunkBytes))) throw new Error(`chunk ${at} can't be read`);
  }
  if (file.dataBytes !== dataBytes || file.zeroBytes !== zeroBytes) throw new Error('miscounted');
}

function optionsAt(directory: string, name: string, trusted: boolean): ChunkFileOptions {
  const recordSeed = 77;
  return {
    dataPath: join(directory, `${name}.data`),
    mapPath: join(directory, `${name}.map`),
    sizeBytes,
    chunkBytes,
    recordsOffset: 512,
    recordSeed,
    trusted,
  };
}

t.test('any history, any concurrency: right bytes or none, before and after reopening', async (t) => {
  const directory = t.testdir();
  let runIndex = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 24 }), { maxLength: 4 }), fc.boolean(), async (bursts, trusted) => {
      runIndex += 1;
      let file = native.openChunkFile(optionsAt(directory, `${runIndex}`, true));
      for (const burst of bursts) {
        await settle(burst.map((one) => run(file, one)));
        await check(file);
        const before = [...file.runs(0, chunkCount, chunkCount)];
        await file.close();
        file = native.openChunkFile(optionsAt(directory, `${runIndex}`, trusted));
        if (trusted) t.same([...file.runs(0, chunkCount, chunkCount)], before);
        await check(file);
      }
      await file.close();
    }),
    { numRuns: 60 },
  );
});

t.test('eviction under readers never gives a hole for data', async (t) => {
  const file = native.openChunkFile(optionsAt(t.testdir(), 'race', true));
  for (let at = 0; at < chunkCount; at += 1) await file.store(at, chunkAt(at), 0);
  let ended = false;
  let hits = 0;
  let misses = 0;
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const reader = async (): Promise<void> => {
    const target = Buffer.alloc(3 * chunkBytes);
    while (!ended) {
      const offset = random(sizeBytes - target.length);
      const lengthBytes = 1 + random(target.length - 1);
      for (const hit of [file.readNow(target, 0, lengthBytes, offset) === ReadNow.hit, await file.read(target, 0, lengthBytes, offset)]) {
        if (hit) hits += 1;
        else misses += 1;
      }
      target.fill(0xee);
      if (await file.read(target, 0, lengthBytes, offset)) {
        if (!target.subarray(0, lengthBytes).equals(image.subarray(offset, offset + lengthBytes)))
          throw new Error(`wrong bytes at ${offset}`);
      }
      if (file.readNow(target, 0, lengthBytes, offset) === ReadNow.hit) {
        if (!target.subarray(0, lengthBytes).equals(image.subarray(offset, offset + lengthBytes)))
          throw new Error(`wrong bytes now at ${offset}`);
      }
    }
  };
  const churn = async (): Promise<void> => {
    // Until there was enough of both, however seldom readers had their turn.
    for (let round = 0; round < 120 || hits <= 100 || misses <= 10; round += 1) {
      const at = random(chunkCount);
      await settle([run(file, { kind: 'evict', indices: [at, (at + 1) % chunkCount] })]);
      await settle([run(file, { kind: 'store', index: at }), run(file, { kind: 'store', index: (at + 1) % chunkCount })]);
    }
  };
  const readers = Array.from({ length: 6 }, reader);
  await Promise.all([churn(), churn()]);
  ended = true;
  await Promise.all(readers);
  t.ok(hits > 100, `${hits} hits`);
  t.ok(misses > 10, `${misses} misses`);
  await check(file);
  await file.close();
});
