/**
 * Replays a mix against a policy: the way of a read through the cache, in one step and without waiting. Readahead is the product's own.
 */
import { Readahead } from '../../../src/cache/readahead.js';
import type { Mix } from './mix.js';
import type { ReplayPolicy } from './policy.js';

/** The product's default: 8 MiB. */
const readaheadChunks = 32;

export interface ReplayResult {
  /** Chunks that guests' reads came to; reads of one chunk that follow each other count once. */
  visits: number;
  /** Of these, the ones for which somebody waited. */
  misses: number;
  /** Chunks that came from elsewhere for guests, readahead included; those of scans are the same for every policy, nearly. */
  fetched: number;
}

export async function replayMix(mix: Mix, policy: ReplayPolicy): Promise<ReplayResult> {
  const result: ReplayResult = { visits: 0, misses: 0, fetched: 0 };
  const readaheads = Array.from(
    { length: mix.imageCount },
    () => new Readahead({ chunkCount: mix.chunkCount, maxWindowChunks: readaheadChunks }),
  );
  const lastChunks = new Int32Array(mix.imageCount).fill(-1);
  const fetch = async (chunk: number): Promise<void> => {
    result.fetched += 1;
    await policy.insert(chunk);
  };
  for (const { kind, image, firstChunk, lastChunk } of mix.accesses) {
    const base = image * mix.chunkCount;
    let missed = false;
    for (let chunk = firstChunk; chunk <= lastChunk; chunk += 1) {
      const held = policy.has(base + chunk);
      if (kind === 'boot') {
        if (chunk !== lastChunks[image]) result.visits += 1;
        lastChunks[image] = chunk;
        if (!held) result.misses += 1;
      }
      if (held) {
        if (kind !== 'warm') policy.use(base + chunk);
        continue;
      }
      missed = true;
      await fetch(base + chunk);
    }
    const readahead = readaheads[image];
    if (kind === 'warm' || readahead === undefined) continue;
    const marked = readahead.isMarked(firstChunk, lastChunk);
    const range = marked ? readahead.onMark(firstChunk, lastChunk) : missed ? readahead.onMiss(firstChunk, lastChunk) : undefined;
    if (range === undefined) continue;
    for (let chunk = range.firstChunk; chunk < range.firstChunk + range.chunkCount; chunk += 1) {
      if (!policy.has(base + chunk)) await fetch(base + chunk);
    }
  }
  return result;
}
