/**
 * Repeats reads that are worth another try.
 *
 * When to use: around every origin whose reads have a deadline above. Cost: one small object per
 * read; nothing more if the first attempt is good.
 *
 * Invariants: a delivered byte is not asked for again. Only errors that say `retryable` are
 * retried. A prefetch is not: no guest waits for it, and it would hold memory for as long as the
 * origin is away. The wait before a retry ends at once when the signal aborts. Without a signal it
 * tries for ever: deadlines belong to the layers above.
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
  /** Returns a number from 0 (included) to 1; `Math.random` by default. */
  random?: (() => number) | undefined;
  log?: Logger | undefined;
  /** Called before the wait of each retry. */
  onRetry?: ((retry: { error: OriginError; delayMs: number }) => void) | undefined;
  /**
   * Upper end of the first backoff, in ms, drawn from 0; it doubles with each attempt that brought
   * nothing. Default 100.
   */
  firstDelayMs?: number | undefined;
  /** Bound on a backoff, in ms. Default 5000. */
  maxDelayMs?: number | undefined;
  /** Bound on the pause that an origin may ask for (Retry-After), in ms. Default 10 000. */
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
        // The connection ended right behind the last byte, before the origin could confirm: all is
        // there.
        if (progress && counting.deliveredBytes === lengthBytes) return;
        fruitless = progress ? 0 : fruitless + 1;
        options.onRetry?.();
        await this.#pause(error, fruitless, options.signal);
      }
    }
  }

  /**
   * Waits before the next attempt, with full jitter: nodes that lost one origin come back at
   * different moments.
   */
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
