/** The time that is left of a request when a later part of it begins. */

import type { Clock } from '../base/clock.js';
import { AbortedError, DeadlineError } from '../base/error.js';
import type { RequestOptions } from '../block/read-options.js';

export class RequestTime {
  readonly #what: string;
  readonly #options: RequestOptions;
  readonly #clock: Clock;
  readonly #startedMs: number;

  /** @param what name of the request in errors */
  constructor(what: string, options: RequestOptions, clock: Clock) {
    this.#what = what;
    this.#options = options;
    this.#clock = clock;
    this.#startedMs = options.deadlineMs ? clock.nowMs() : 0;
  }

  /**
   * Returns the options for a part that begins now.
   *
   * @throws DeadlineError, AbortedError when no time is left
   */
  left(): RequestOptions {
    const { deadlineMs, signal } = this.#options;
    if (signal?.aborted) throw new AbortedError(this.#what, { cause: signal.reason });
    if (!deadlineMs) return this.#options;
    const leftMs = deadlineMs - (this.#clock.nowMs() - this.#startedMs);
    if (leftMs <= 0) throw new DeadlineError(this.#what, deadlineMs);
    return { ...this.#options, deadlineMs: leftMs };
  }
}
