/**
 * Tries again what is worth another try.
 *
 * When to use: around every origin whose reads have a deadline above. Cost: one small object a read; nothing when the first attempt is good.
 *
 * Invariants: a byte that was delivered is not asked for again; only errors that say `retryable` are retried, and no prefetch (nobody waits for it, and it would hold
 * memory for as long as the origin is away); the wait before a retry
 * ends at once when the signal aborts. Without a signal it tries for ever: deadlines belong to the layers above.
 */

import { type Clock, systemClock } from '../base/clock.js';
import { AbortedError, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { pause } from '../base/pause.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from './decorator.js';
import { type Origin, OriginError } from './origin.js';
import { CountingSink } from './sink.js';

export interface RetryOptions {
  clock?: Clock | undefined;
  /** A number from 0 (included) to 1; `Math.random` by default. */
  random?: (() => number) | undefined;
  log?: Logger | undefined;
  /** Called before each retry's wait. */
  onRetry?: ((retry: { error: OriginError; delayMs: number }) => void) | undefined;
  /** The first backoff is drawn from 0 to this; it doubles with each attempt that brought nothing. Default 100. */
  firstDelayMs?: number | undefined;
  /** The most that a backoff grows to. Default 5000. */
  maxDelayMs?: number | undefined;
  /** The most that is granted to an origin which asks for time (Retry-After). Default 10 000. */
  maxRetryAfterMs?: number | undefined;
}

export function withRetry(origin: Origin, options: RetryOptions = {}): Origin {
  return new RetryingOrigin(origin, options);
}

class RetryingOrigin extends OriginDecorator {
  readonly #options: RetryOptions;

  constructor(origin: Origin, options: RetryOptions) {
    super(origin);
    this.#options = options;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    const counting = new CountingSink(sink);
    let fruitless = 0;
    for (;;) {
      const doneBytes = counting.deliveredBytes;
      try {
        return await this.below.read(offset + doneBytes, lengthBytes - doneBytes, counting, options);
      } catch (error) {
        if (!(error instanceof OriginError) || !error.retryable || options.priority === 'prefetch') throw error;
        const progress = counting.deliveredBytes > doneBytes;
        // A connection that ended right behind the last byte, before the origin could say that all was well: all is there.
        if (progress && counting.deliveredBytes === lengthBytes) return;
        fruitless = progress ? 0 : fruitless + 1;
        options.onRetry?.();
        await this.#pause(error, fruitless, options.signal);
      }
    }
  }

  /** Waits before the next attempt, with full jitter: nodes that lost one origin come back at different moments. */
  async #pause(error: OriginError, fruitless: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock = systemClock, random = Math.random, firstDelayMs = 100, maxDelayMs = 5000, maxRetryAfterMs = 10_000 } = this.#options;
    const ceilingMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(Math.max(fruitless - 1, 0), 30));
    const delayMs = Math.max(random() * ceilingMs, Math.min(error.retryAfterMs ?? 0, maxRetryAfterMs));
    this.#options.onRetry?.({ error, delayMs });
    this.#options.log?.debug({ origin: this.url, delayMs: Math.round(delayMs), error: errorMessage(error) }, 'origin read is tried again');
    await pause(clock, delayMs, signal);
    if (signal?.aborted) throw new AbortedError(`read of ${this.url}`, { cause: error });
  }
}
