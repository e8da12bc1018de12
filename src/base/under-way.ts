/** Counts the calls that are under way, so that the files they use are closed after them. */
import { ClosedError } from './error.js';

export class UnderWay {
  readonly #what: string;
  #count = 0;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  /** @param what name in errors: "the disk" */
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

  /** Refuses further calls. Resolves when the earlier ones have ended. Called once. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}
