/**
 * Whether this node tells its peers that it reaches an origin: one that fails is given a moment, then this node is no home for its content for a while, then it tries
 * again.
 */
import type { Clock } from '../../base/clock.js';
import type { OriginHealth } from '../../origin/health.js';

/** A failed attempt is no verdict: so long, retries may succeed. */
const graceMs = 2000;
/** So long others are home; nobody asks here, so nothing would show that the origin is back. */
const restMs = 30_000;

export class OriginReach {
  readonly #clock: Clock;
  #badSinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  isReachable(health: OriginHealth): boolean {
    const nowMs = this.#clock.nowMs();
    if (health === 'ok' || health === 'unused') {
      this.#badSinceMs = undefined;
      return true;
    }
    this.#badSinceMs ??= nowMs;
    const badMs = (nowMs - this.#badSinceMs) % (graceMs + restMs);
    return badMs < graceMs;
  }
}
