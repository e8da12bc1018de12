/**
 * Counts how often chunks come from an origin: the same one twice is what a cluster is there to avoid.
 *
 * When to use: around the origin of one content, above retries, so that a chunk that took two attempts counts once. Cost: one bit a chunk, and a loop over those of each read.
 */
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from './decorator.js';
import type { Origin } from './origin.js';
import { CountingSink } from './sink.js';

export class OriginEconomy {
  readonly chunkBytes: number;
  readonly #seen: Uint8Array;
  /** Chunks that came whole, each time counted. */
  chunks = 0;
  /** The same, each chunk counted once. */
  uniqueChunks = 0;

  constructor(options: { sizeBytes: number; chunkBytes: number }) {
    this.chunkBytes = options.chunkBytes;
    this.#seen = new Uint8Array(Math.ceil(options.sizeBytes / options.chunkBytes / 8));
  }

  /** @param offset of the first byte that came; a chunk's first one */
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

export function withEconomy(origin: Origin, economy: OriginEconomy): Origin {
  return new EconomicOrigin(origin, economy);
}

class EconomicOrigin extends OriginDecorator {
  readonly #economy: OriginEconomy;

  constructor(below: Origin, economy: OriginEconomy) {
    super(below);
    this.#economy = economy;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void> {
    const counting = new CountingSink(sink);
    try {
      await this.below.read(offset, lengthBytes, counting, options);
    } finally {
      this.#economy.fetched(offset, counting.deliveredBytes, this.sizeBytes);
    }
  }
}
