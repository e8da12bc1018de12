/**
 * Fills a range of any length into the cache, a few steps at a time. A request's deadline counts
 * per step, not for a whole large image. The queue stays short, so that guests don't wait behind
 * it.
 */

import { MiB } from '../base/size.js';
import type { RequestOptions } from '../block/read-options.js';
import type { ChunkCache } from './chunk-cache.js';

/** Bytes per step; enough at once to keep an origin busy. */
const stepBytes = 4 * MiB;
const stepsAtOnce = 4;

export interface FillOptions extends RequestOptions {
  onProgress?: ((doneBytes: number) => void) | undefined;
}

/**
 * Resolves when the range is on this host's disk. Rejects as `ChunkCache.ensure` does, with the
 * first step that failed.
 */
export async function fill(cache: ChunkCache, offset: number, lengthBytes: number, options: FillOptions = {}): Promise<void> {
  const end = offset + lengthBytes;
  let next = offset;
  let doneBytes = 0;
  const work = async (): Promise<void> => {
    while (next < end) {
      const at = next;
      // Steps end where chunks do, as long as chunks are no larger.
      next = Math.min(end, (Math.floor(at / stepBytes) + 1) * stepBytes);
      const stepLengthBytes = next - at;
      await cache.ensure(at, stepLengthBytes, options);
      doneBytes += stepLengthBytes;
      options.onProgress?.(doneBytes);
    }
  };
  try {
    await Promise.all(Array.from({ length: stepsAtOnce }, work));
  } finally {
    next = end;
  }
}
