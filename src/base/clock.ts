/**
 * Source of time for all other code. It is injected, so that tests decide when time passes.
 *
 * Invariant: `nowMs` is monotonic; it never follows changes of the wall clock.
 */
export interface Clock {
  /** Milliseconds since an arbitrary point, with fractions. */
  nowMs(): number;
  /**
   * Calls `callback` once after `delayMs`. The returned function cancels it. Does not keep the
   * process alive.
   */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
