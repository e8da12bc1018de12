/**
 * Chooses the chunks that go first, over all stores of the node. There are three classes, and each
 * is emptied before the next is touched:
 *
 *   orphans   content that no client can read any more
 *   copies    chunks whose home in the cluster is another node, which has or fetches them
 *   the rest  chunks whose home is this node, and all chunks of content that is not shared
 *
 * So the cluster's last copy of a chunk goes last, without a message between nodes. Within a class
 * all stores are equal, in one ring. Chunks that are being read are skipped, never waited for. An
 * eviction goes through the classes once, by the homes of that moment. A chunk that becomes a copy
 * later belongs to the rest until the next eviction.
 */
import type { ChunkStore } from '../store/chunk-store.js';
import { type EvictionDemand, EvictionRing } from './eviction-ring.js';

export interface SharedStore {
  /**
   * True if this node is the home of a chunk. Asked for each cached chunk that a sweep passes, so
   * it should cost no more than a look into a bitmap. The answer may change at any time, as members
   * come and go.
   */
  isHome?: ((chunkIndex: number) => boolean) | undefined;
}

export class Eviction {
  readonly #orphans = new EvictionRing();
  readonly #copies = new EvictionRing();
  readonly #rest = new EvictionRing();

  /** Adds a store. Without `isHome` all its chunks count as this node's own. */
  add(store: ChunkStore, { isHome }: SharedStore = {}): void {
    this.#rest.add({ store });
    if (isHome !== undefined) this.#copies.add({ store, belongs: (chunkIndex) => !isHome(chunkIndex) });
  }

  /** @param onEmpty called once all chunks of the store are evicted; the store is removed then */
  addOrphan(store: ChunkStore, onEmpty: () => void): void {
    this.#orphans.add({ store, onEmpty });
  }

  remove(store: ChunkStore): void {
    for (const ring of [this.#orphans, this.#copies, this.#rest]) ring.remove(store);
  }

  /** Resolves when no more bytes must go, or no more chunks can. Rejects as `demand.free` does. */
  async evict(demand: EvictionDemand): Promise<void> {
    for (const ring of [this.#orphans, this.#copies, this.#rest]) {
      // The demand is not asked again: a need that arose since then begins with the first class.
      if ((await ring.evict(demand)) === 'enough') return;
    }
  }
}
