/** A clock that stands still until a test moves it. */
import type { Clock } from '../../src/base/clock.js';

export class ManualClock implements Clock {
  #nowMs = 1000;
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();

  /** Timers that are set and neither due nor cancelled: a leak, when everything has ended. */
  get timerCount(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Calls what falls due within the next `durationMs`, in order. */
  advance(durationMs: number): void {
    const untilMs = this.#nowMs + durationMs;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.atMs <= untilMs).sort((left, right) => left.atMs - right.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}
