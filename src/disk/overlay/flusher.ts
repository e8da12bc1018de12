/**
 * When a disk is flushed: as often as asked, many together, and by itself when nobody asks.
 *
 * Group commit: a flush that is asked for while one runs joins the next, which begins when the present one ended, since the present one may have begun before the
 * write that is to be flushed. All who ask meanwhile share it.
 *
 * While something may be written that it is not told of, it looks by itself, as often as what was written may stay unflushed.
 */
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';

export interface DiskFlusherOptions {
  /** Flushes; never called while it is under way. */
  flush(): Promise<void>;
  /** Whether a flush would do something. */
  isDirty(): boolean;
  /** Whether something may be written without a `touch`. */
  isWatched?(): boolean;
  /** How long what was written may stay unflushed when nobody asks, in milliseconds. */
  selfFlushMs: number;
  clock: Clock;
  log: Logger;
}

export class DiskFlusher {
  readonly #options: DiskFlusherOptions;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;
  #hasFailed = false;
  #closed = false;

  constructor(options: DiskFlusherOptions) {
    this.#options = options;
  }

  /** What was acknowledged before the call is durable when it resolves. Rejects as the overlay does: all is as dirty as it was. */
  flush(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#begin();
    this.#next = this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#next;
  }

  /** There is something to flush. */
  touch(): void {
    if (this.#cancelTimer !== undefined || this.#closed) return;
    const { clock, selfFlushMs, isDirty, log } = this.#options;
    this.#cancelTimer = clock.after(selfFlushMs, () => {
      this.#cancelTimer = undefined;
      if (!isDirty()) {
        if (this.#isWatched) this.touch();
        return;
      }
      this.flush().catch((error: unknown) => {
        // Tried again and again: told once, until it worked.
        if (!this.#hasFailed) log.error({ err: error }, 'cannot write a disk through; it is tried again');
        this.#hasFailed = true;
        this.touch();
      });
    });
  }

  /** Flushes a last time, and by itself no more. */
  close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer();
    return this.flush();
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    this.#stopTimer();
    const running = this.#options.flush().then(
      () => {
        this.#running = undefined;
        this.#hasFailed = false;
        if (this.#options.isDirty() || this.#isWatched) this.touch();
      },
      (error: unknown) => {
        this.#running = undefined;
        this.touch();
        throw error;
      },
    );
    this.#running = running;
    return running;
  }

  get #isWatched(): boolean {
    return this.#options.isWatched?.() ?? false;
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
