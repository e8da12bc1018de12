/** A clock that stands still: its timers fire only when the test says so. */
import type { Clock } from '../../src/base/clock.js';

export class StoppedClock implements Clock {
  readonly #timers = new Set<() => void>();

  nowMs(): number {
    return 0;
  }

  after(_delayMs: number, callback: () => void): () => void {
    this.#timers.add(callback);
    return () => this.#timers.delete(callback);
  }

  /** Fires all timers that were set before the call. */
  fire(): void {
    const due = [...this.#timers];
    this.#timers.clear();
    for (const callback of due) callback();
  }
}
