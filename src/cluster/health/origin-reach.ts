/**
 * Decides whether this node tells its peers that it reaches an origin. After a grace period with
 * failures, this node is no home for the content for a while. Then it tries again.
 */
import type { Clock } from '../../base/clock.js';
import type { OriginHealth } from '../../origin/health.js';

/** Grace period after a failure, in ms, in which retries may succeed. */
const graceMs = 2000;
/**
 * Time that other nodes are home, in ms. No peer asks here meanwhile, so only a new try can show
 * that the origin is back.
 */
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
