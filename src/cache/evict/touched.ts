/**
 * Which chunks guests have read since the daemon opened the cache: what a boot needs, and so what a cluster must hold to do without the origin.
 *
 * A view: the marks lie with the chunks' states, where threads that answer guests past this side set them too.
 */
export interface TouchedStore {
  readonly touchedCount: number;
  isTouched(chunkIndex: number): boolean;
  touch(firstIndex: number, chunkCount: number): void;
}

export class TouchedChunks {
  readonly #store: TouchedStore;

  constructor(store: TouchedStore) {
    this.#store = store;
  }

  get count(): number {
    return this.#store.touchedCount;
  }

  mark(firstChunk: number, lastChunk: number): void {
    this.#store.touch(firstChunk, lastChunk - firstChunk + 1);
  }

  has(chunkIndex: number): boolean {
    return this.#store.isTouched(chunkIndex);
  }
}
