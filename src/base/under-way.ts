/** Counts the calls that are under way, so that what they use is closed after them. */
import { ClosedError } from './error.js';

export class UnderWay {
  readonly #what: string;
  #count = 0;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  /** @param what of errors: "the disk" */
  constructor(what: string) {
    this.#what = what;
  }

  /** Rejects with `ERR_CLOSED` after `close`. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new ClosedError(this.#what);
    this.#count += 1;
    try {
      return await work();
    } finally {
      this.#count -= 1;
      if (this.#count === 0) this.#onEmpty?.();
    }
  }

  /** No more calls. Resolves when those before it have ended. Once. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}
