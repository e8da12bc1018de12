/**
 * What goes first when something has to go, over all stores of the node. Three classes, each emptied before the next is touched:
 *
 *   orphans   content that nobody reads any more
 *   copies    chunks whose home in the cluster is another node: it has them, or is who fetches them again
 *   the rest  chunks whose home is this node, and all chunks of content that is not shared: perhaps the last copy
 *
 * So the cluster's last copy goes last without a message between nodes. Within a class all stores are equal, in one ring. What is being read is skipped, never
 * waited for. An eviction goes through the classes once, by the homes as they are then: what becomes a copy after that is one of the rest until the next.
 */
import type { ChunkStore } from '../store/chunk-store.js';
import { type EvictionDemand, EvictionRing } from './eviction-ring.js';

export interface SharedStore {
  /**
   * Whether this node is the home of a chunk. Asked for each cached chunk that a sweep passes, so it should cost no more than a look into a bitmap; its answers may change
   * at any time, as members come and go.
   */
  isHome?: ((chunkIndex: number) => boolean) | undefined;
}

export class Eviction {
  readonly #orphans = new EvictionRing();
  readonly #copies = new EvictionRing();
  readonly #rest = new EvictionRing();

  /** Without `isHome` all chunks count as this node's own. */
  add(store: ChunkStore, { isHome }: SharedStore = {}): void {
    this.#rest.add({ store });
    if (isHome !== undefined) this.#copies.add({ store, belongs: (chunkIndex) => !isHome(chunkIndex) });
  }

  /** @param onEmpty called once, when all of the store was evicted; it is no longer known here then */
  addOrphan(store: ChunkStore, onEmpty: () => void): void {
    this.#orphans.add({ store, onEmpty });
  }

  remove(store: ChunkStore): void {
    for (const ring of [this.#orphans, this.#copies, this.#rest]) ring.remove(store);
  }

  /** Resolves when nothing more is wanted or nothing more can go. Rejects as `demand.free` does. */
  async evict(demand: EvictionDemand): Promise<void> {
    for (const ring of [this.#orphans, this.#copies, this.#rest]) {
      // Not asked of the demand again: what others want since then begins with the first class.
      if ((await ring.evict(demand)) === 'enough') return;
    }
  }
}
