/**
 * Order of the calls that change chunks of one store.
 *
 * Invariants: a store of data begins after the store of data before it, because the kernel lets one
 * thread at a time write to a file, and the others would spin (6 % of a cold read's CPU). A call
 * for a chunk begins after an eviction of it that is under way.
 */
import type { ChunkStateValue } from '../../base/native/chunk.js';
import { Serial } from '../../base/serial.js';

export class ChunkOrder {
  /** Evictions under way, by chunk. */
  readonly #evicting = new Map<number, Promise<unknown>>();
  /** Stores of zeros under way, by chunk. */
  readonly #zeroing = new Map<number, Promise<void>>();
  readonly #stores = new Serial();

  /** Resolves when no eviction of the chunk is under way. Never rejects. */
  async afterEviction(chunkIndex: number): Promise<void> {
    await this.#evicting.get(chunkIndex);
  }

  /** Runs a store of data behind the stores before it. */
  store(chunkIndex: number, store: () => Promise<ChunkStateValue>): Promise<ChunkStateValue> {
    return this.#stores.run(async () => {
      await this.#evicting.get(chunkIndex);
      return store();
    });
  }

  /**
   * Runs a store of zeros, or joins the one of this chunk: both paths of a cache may bring it at
   * once.
   */
  storeZero(chunkIndex: number, store: () => Promise<void>): Promise<void> {
    const running = this.#zeroing.get(chunkIndex);
    if (running !== undefined) return running;
    const inOrder = async (): Promise<void> => {
      await this.#evicting.get(chunkIndex);
      await store();
    };
    const stored = inOrder().finally(() => this.#zeroing.delete(chunkIndex));
    this.#zeroing.set(chunkIndex, stored);
    return stored;
  }

  /** Notes an eviction that has begun. Settles as `evicted` does. */
  async evict(chunkIndices: Uint32Array, evicted: Promise<number>): Promise<number> {
    const settled = evicted.catch(() => 0);
    for (const index of chunkIndices) this.#evicting.set(index, settled);
    try {
      return await evicted;
    } finally {
      for (const index of chunkIndices) if (this.#evicting.get(index) === settled) this.#evicting.delete(index);
    }
  }
}
