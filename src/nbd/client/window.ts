/**
 * Places for requests in flight. A fixed number is taken at once; further requests wait in line,
 * first come, first served.
 */
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { AbortedError } from '../../base/error.js';

export class Window {
  #free: number;
  readonly #line: { grant: () => void; refuse: (error: Error) => void }[] = [];
  #closed: Error | undefined;

  /** @param size number of places, at least 1 */
  constructor(size: number) {
    this.#free = size;
  }

  /**
   * Resolves with a place taken. Rejects with `ERR_ABORTED`, or with the error that closed the
   * window.
   */
  enter(signal?: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#closed === undefined && this.#free > 0 && !signal?.aborted) {
      this.#free -= 1;
      return undefined;
    }
    return this.#wait(signal);
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed !== undefined) throw this.#closed;
    if (signal?.aborted) throw new AbortedError('NBD request', { cause: signal.reason });
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((grant, refuse) => {
        const place = { grant, refuse };
        this.#line.push(place);
        onAbort = (): void => {
          const index = this.#line.indexOf(place);
          // The place was granted in this very turn, so it is the caller's.
          if (index < 0) return;
          this.#line.splice(index, 1);
          refuse(new AbortedError('NBD request', { cause: signal?.reason }));
        };
        watchAbort(signal, onAbort);
      });
    } finally {
      if (onAbort !== undefined) unwatchAbort(signal, onAbort);
    }
  }

  leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#free += 1;
    else next.grant();
  }

  /** Closes the window; requests in line reject. */
  close(error: Error): void {
    this.#closed ??= error;
    for (const place of this.#line.splice(0)) place.refuse(this.#closed);
  }
}
