/**
 * The chunks that guests have read since the daemon opened the cache. A boot needs them, so a
 * cluster must hold them to do without the origin.
 *
 * This is a view. The marks lie with the states of the chunks, where native lanes set them, too.
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
