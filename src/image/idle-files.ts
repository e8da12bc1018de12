/**
 * Closes the files of stores that no client reads, every few seconds. The next read opens them
 * again.
 */
import { systemClock } from '../base/clock.js';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { Slice } from '../base/slice.js';
import type { ChunkStore } from '../cache/store/chunk-store.js';

/** Interval between two looks, in ms. A store without a read since the last look is idle. */
const parkMs = 5000;

export class IdleFiles {
  readonly #stores: () => Iterable<ChunkStore>;
  readonly #log: Logger;
  #cancel: () => void = () => {};
  #isClosed = false;

  /** @param stores lists all stores of the node */
  constructor(stores: () => Iterable<ChunkStore>, log: Logger) {
    this.#stores = stores;
    this.#log = log;
    this.#parkLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  #parkLater(): void {
    if (this.#isClosed) return;
    this.#cancel = systemClock.after(parkMs, () => void this.#park().finally(() => this.#parkLater()));
  }

  async #park(): Promise<void> {
    const slice = new Slice();
    for (const store of [...this.#stores()]) {
      await slice.turn();
      try {
        if (store.isOpen) await store.park();
      } catch (error) {
        this.#log.warn({ reason: errorMessage(error) }, 'files of an idle content stay open');
      }
    }
  }
}
