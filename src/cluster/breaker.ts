/**
 * Sets something that fails aside, and lets it back by trying one request.
 *
 * | state     | `tryAcquire`       | `succeed`     | `fail`                                      | time                      |
 * | --------- | ------------------ | ------------- | ------------------------------------------- | ------------------------- |
 * | closed    | yes                | a row of      | counted; open, when there are too many in a |                           |
 * |           |                    | failures ends | row or among the recent requests            |                           |
 * | open      | no                 | nothing       | nothing                                     | half-open, once the pause |
 * |           |                    |               |                                             | is over                   |
 * | half-open | one at a time      | closed        | open, and the pause is twice as long        |                           |
 *
 * The pause is `pauseMs`, doubled with each failed try up to `pauseLimitMs`, less up to `jitter` of it, so that many askers don't try at once. Closing
 * makes the next pause short again. `release` is for a request that ended for other reasons (its asker left): half-open, the next one may try.
 *
 * Late outcomes of requests from before it opened count as the try's: a success shows that it answers again, a failure that it doesn't. Open they are ignored, or
 * the end of every request that was on its way would double the pause.
 *
 * Invariants: half-open, whoever acquired settles, or nobody else may try; memory is bounded by `recentCount`; no timers, so nothing to close.
 * Own, because cockatiel's breaker takes neither a clock nor a source of chance, and both a test and a simulation need them.
 */
import type { Clock } from '../base/clock.js';

export type BreakerState = 'closed' | 'open' | 'half-open';

export interface BreakerOptions {
  clock: Clock;
  /** Uniform in [0, 1); `Math.random` outside of tests and simulations. */
  random: () => number;
  /** Failures in a row that open it. */
  failuresInRow?: number;
  /** Share of the recent requests, above 0 up to 1, that opens it when it has failed. */
  failureShare?: number;
  /** How many requests are judged by their share: the last ones, and only when there were as many within `recentMs`. */
  recentCount?: number;
  recentMs?: number;
  pauseMs?: number;
  pauseLimitMs?: number;
  /** Share of the pause, 0 to 1. */
  jitter?: number;
}

export class Breaker {
  readonly #options: Required<BreakerOptions>;
  /** A ring of the recent requests: when each was settled, `-Infinity` where there was none yet, and whether it failed. */
  readonly #settledAtMs: Float64Array;
  readonly #failed: Uint8Array;
  #nextRecent = 0;
  #failuresInRow = 0;
  #isOpen = false;
  #openUntilMs = 0;
  /** Pauses since it was closed. */
  #pauses = 0;
  #isTrying = false;

  constructor(options: BreakerOptions) {
    this.#options = {
      failuresInRow: 5,
      failureShare: 0.5,
      recentCount: 20,
      recentMs: 30_000,
      pauseMs: 1000,
      pauseLimitMs: 60_000,
      jitter: 0.2,
      ...options,
    };
    this.#settledAtMs = new Float64Array(this.#options.recentCount).fill(Number.NEGATIVE_INFINITY);
    this.#failed = new Uint8Array(this.#options.recentCount);
  }

  get state(): BreakerState {
    if (!this.#isOpen) return 'closed';
    return this.#options.clock.nowMs() < this.#openUntilMs ? 'open' : 'half-open';
  }

  /** What is left of the pause; 0 unless it is open. */
  get pauseLeftMs(): number {
    return this.#isOpen ? Math.max(0, this.#openUntilMs - this.#options.clock.nowMs()) : 0;
  }

  /** Whether a request may be made now. After a yes call one of `succeed`, `fail` and `release`, once. */
  tryAcquire(): boolean {
    const { state } = this;
    if (state === 'closed') return true;
    if (state === 'open' || this.#isTrying) return false;
    this.#isTrying = true;
    return true;
  }

  succeed(): void {
    const { state } = this;
    if (state === 'closed') this.#count(false);
    if (state === 'half-open') this.#close();
  }

  fail(): void {
    const { state } = this;
    if (state === 'closed') this.#count(true);
    if (state === 'half-open') this.#open();
  }

  /** The request ended, and says nothing about who was asked. */
  release(): void {
    this.#isTrying = false;
  }

  #count(failed: boolean): void {
    this.#settledAtMs[this.#nextRecent] = this.#options.clock.nowMs();
    this.#failed[this.#nextRecent] = failed ? 1 : 0;
    this.#nextRecent = (this.#nextRecent + 1) % this.#failed.length;
    this.#failuresInRow = failed ? this.#failuresInRow + 1 : 0;
    if (failed && (this.#failuresInRow >= this.#options.failuresInRow || this.#tooManyFailed())) this.#open();
  }

  #tooManyFailed(): boolean {
    const { clock, failureShare, recentCount, recentMs } = this.#options;
    const sinceMs = clock.nowMs() - recentMs;
    // A place that is older, or was never used, means that there are too few to judge by.
    if (this.#settledAtMs.some((settledAtMs) => settledAtMs < sinceMs)) return false;
    return this.#failed.reduce((sum, failed) => sum + failed, 0) >= failureShare * recentCount;
  }

  #open(): void {
    const { clock, random, pauseMs, pauseLimitMs, jitter } = this.#options;
    // The exponent is bounded, or a peer that is away for a month would overflow it.
    const longestMs = Math.min(pauseLimitMs, pauseMs * 2 ** Math.min(this.#pauses, 40));
    this.#pauses += 1;
    this.#openUntilMs = clock.nowMs() + longestMs * (1 - jitter * random());
    this.#enterState(true);
  }

  #close(): void {
    this.#pauses = 0;
    this.#enterState(false);
  }

  #enterState(isOpen: boolean): void {
    this.#isOpen = isOpen;
    this.#isTrying = false;
    this.#failuresInRow = 0;
    this.#settledAtMs.fill(Number.NEGATIVE_INFINITY);
  }
}
