/**
 * Sets a failing peer aside, and lets it back by trying one request.
 *
 * | state     | a request               | success        | failure                        |
 * | --------- | ----------------------- | -------------- | ------------------------------ |
 * | closed    | passes                  | ends a row of  | counted; too many in a row, or |
 * |           |                         | failures       | among recent ones: open        |
 * | open      | refused                 | -              | -                              |
 * | half-open | one passes, the others  | of the passed: | of the passed: open, with      |
 * |           | are refused             | closed         | twice the pause                |
 *
 * The state open becomes half-open once the pause is over. The pause is `pauseMs`. It doubles with
 * each failed try up to `pauseLimitMs`, less up to `jitter` of it, so that many nodes don't try at
 * once. Closing makes the next pause short again. An abandoned request (its caller left) is neither
 * success nor failure. In the state half-open, the next request may then try.
 *
 * Invariants: requests that passed before a change of state decide nothing after it. In the state
 * half-open, the passed request must be settled, or no other one ever passes. `recentCount` bounds
 * the memory. There are no timers, so nothing to close.
 *
 * Why not a library: cockatiel's breaker takes neither a clock nor a source of chance. A test and a
 * simulation need both.
 */
import type { Clock } from '../base/clock.js';

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * A request that may be made. Settle each pass once, whatever the outcome; a second time does
 * nothing.
 */
export interface BreakerPass {
  settle(outcome: RequestOutcome): void;
}

/** `abandoned`: the request says nothing about the peer. */
export type RequestOutcome = 'success' | 'failure' | 'abandoned';

export interface BreakerOptions {
  clock: Clock;
  /** Uniform in [0, 1); `Math.random` outside of tests and simulations. */
  random: () => number;
  /** Failures in a row that open it. */
  failuresInRow?: number;
  /** Share of failures among the recent requests that opens it, above 0 up to 1. */
  failureShare?: number;
  /**
   * Number of recent requests that are judged by their share of failures. They count only if all of
   * them lie within `recentMs`.
   */
  recentCount?: number;
  recentMs?: number;
  pauseMs?: number;
  pauseLimitMs?: number;
  /** Share of the pause, 0 to 1. */
  jitter?: number;
}

export class Breaker {
  readonly #options: Required<BreakerOptions>;
  /**
   * A ring of the recent requests: the time when each was settled (`-Infinity` for an unused
   * place), and its outcome.
   */
  readonly #settledAtMs: Float64Array;
  readonly #failed: Uint8Array;
  #nextRecent = 0;
  #failuresInRow = 0;
  /** Grows with each change of state, so that late outcomes are recognised. */
  #epoch = 0;
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

  /** Rest of the pause, in ms; 0 unless it is open. */
  get pauseLeftMs(): number {
    return this.#isOpen ? Math.max(0, this.#openUntilMs - this.#options.clock.nowMs()) : 0;
  }

  /** @returns the pass, or `undefined` if the request is refused: ask another node */
  enter(): BreakerPass | undefined {
    const { state } = this;
    if (state === 'open' || (state === 'half-open' && this.#isTrying)) return undefined;
    this.#isTrying = state === 'half-open';
    const epoch = this.#epoch;
    let settled = false;
    return {
      settle: (outcome) => {
        if (settled || epoch !== this.#epoch) return;
        settled = true;
        if (this.#isOpen) this.#settleTry(outcome);
        else if (outcome !== 'abandoned') this.#count(outcome === 'failure');
      },
    };
  }

  #settleTry(outcome: RequestOutcome): void {
    this.#isTrying = false;
    if (outcome === 'failure') this.#open();
    if (outcome === 'success') this.#close();
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
    // A place that is older, or was never used, means that there are too few requests to judge by.
    if (this.#settledAtMs.some((settledAtMs) => settledAtMs < sinceMs)) return false;
    return this.#failed.reduce((sum, failed) => sum + failed, 0) >= failureShare * recentCount;
  }

  #open(): void {
    const { clock, random, pauseMs, pauseLimitMs, jitter } = this.#options;
    // The exponent is bounded. A peer that is away for a month would overflow it otherwise.
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
    this.#epoch += 1;
    this.#isOpen = isOpen;
    this.#isTrying = false;
    this.#failuresInRow = 0;
    this.#settledAtMs.fill(Number.NEGATIVE_INFINITY);
  }
}
