/**
 * Counts how often the chunks of one content come from its origin. A cluster exists to fetch each
 * chunk once, so the counts show whether it does.
 *
 * When to use: around the origin of one content, above retries, so that a chunk that took two
 * attempts counts once. Cost: one bit per chunk, and a loop over the chunks of each read.
 */
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from './decorator.js';
import type { Origin } from './origin.js';
import { CountingSink } from './sink.js';

export class FetchCount {
  readonly chunkBytes: number;
  readonly #seen: Uint8Array;
  /** Chunks that came whole, counted each time. */
  chunks = 0;
  /** Chunks that came whole, each counted once. */
  uniqueChunks = 0;

  constructor(options: { sizeBytes: number; chunkBytes: number }) {
    this.chunkBytes = options.chunkBytes;
    this.#seen = new Uint8Array(Math.ceil(options.sizeBytes / options.chunkBytes / 8));
  }

  /** @param offset position of the first byte that came; the first byte of a chunk */
  fetched(offset: number, lengthBytes: number, sizeBytes: number): void {
    const end = offset + lengthBytes;
    const last = end === sizeBytes ? Math.ceil(end / this.chunkBytes) : Math.floor(end / this.chunkBytes);
    for (let chunk = Math.ceil(offset / this.chunkBytes); chunk < last; chunk += 1) {
      this.chunks += 1;
      const bits = this.#seen[chunk >> 3] ?? 0;
      const bit = 1 << (chunk & 7);
      if ((bits & bit) !== 0) continue;
      this.#seen[chunk >> 3] = bits | bit;
      this.uniqueChunks += 1;
    }
  }
}

/** Decorates an origin with a count of its chunks. */
export function withFetchCount(origin: Origin, fetchCount: FetchCount): Origin {
  return new CountedOrigin(origin, fetchCount);
}

class CountedOrigin extends OriginDecorator {
  readonly #fetchCount: FetchCount;

  constructor(below: Origin, fetchCount: FetchCount) {
    super(below);
    this.#fetchCount = fetchCount;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void> {
    const counting = new CountingSink(sink);
    try {
      await this.below.read(offset, lengthBytes, counting, options);
    } finally {
      this.#fetchCount.fetched(offset, counting.deliveredBytes, this.sizeBytes);
    }
  }
}
