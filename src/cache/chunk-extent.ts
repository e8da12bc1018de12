/**
 * Turns chunk states into byte extents for BLOCK_STATUS, by the rules of `BlockDevice.extents`.
 */

import { ChunkState } from '../base/native/chunk.js';
import type { CachedExtent, Extent } from '../block/extent.js';
import { mergeExtent } from '../block/merge-extent.js';
import type { ChunkStore } from './store/chunk-store.js';

/**
 * Returns runs of chunks that agree on `test`, in bytes, clipped to the range, at most `maxCount`.
 */
function clippedRuns(
  store: ChunkStore,
  offset: number,
  lengthBytes: number,
  maxCount: number,
  test: (state: number) => boolean,
): { lengthBytes: number; value: boolean }[] {
  const { chunkBytes } = store;
  const end = offset + lengthBytes;
  const extents: { lengthBytes: number; value: boolean }[] = [];
  // Runs of states are shorter than runs of a test on them. A batch at a time keeps memory bounded
  // on a checkered map.
  for (let at = offset; at < end; ) {
    const firstChunk = Math.floor(at / chunkBytes);
    const lastChunk = Math.floor((end - 1) / chunkBytes);
    const runs = store.runs(firstChunk, lastChunk - firstChunk + 1, 1024);
    let chunk = firstChunk;
    for (let index = 0; index + 1 < runs.length; index += 2) {
      chunk += runs[index + 1] ?? 0;
      const runEnd = Math.min(end, chunk * chunkBytes);
      const value = test(runs[index] ?? ChunkState.absent);
      if (!mergeExtent(extents, { lengthBytes: runEnd - at, value }, (last) => last.value === value, maxCount)) return extents;
      at = runEnd;
    }
  }
  return extents;
}

export function zeroExtents(store: ChunkStore, offset: number, lengthBytes: number, maxCount: number): Extent[] {
  const runs = clippedRuns(store, offset, lengthBytes, maxCount, (state) => state === ChunkState.zero);
  return runs.map(({ lengthBytes: length, value }) => ({ lengthBytes: length, zero: value, hole: value }));
}

export function cachedExtents(store: ChunkStore, offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
  const runs = clippedRuns(store, offset, lengthBytes, maxCount, (state) => state !== ChunkState.absent);
  return runs.map(({ lengthBytes: length, value }) => ({ lengthBytes: length, cached: value }));
}
