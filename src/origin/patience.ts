/**
 * An origin for work that no guest waits for, but that has to end. It repeats failed reads for a
 * while.
 *
 * When to use: around an origin that is read from beginning to end. Cost: a timer per read.
 */

import { unwatchAbort, watchAbort } from '../base/abort.js';
import { type Clock, systemClock } from '../base/clock.js';
import { DeadlineError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from './decorator.js';
import { type Origin, OriginError } from './origin.js';
import { withRetry } from './retry.js';

/** Time for one read, in ms. A link of 1 Mbit/s brings 7 MiB in that time. */
const patienceMs = 60_000;

/**
 * Rejects with `ERR_DEADLINE` if a read takes longer than a minute; its cause is the last failure.
 */
export function patiently(origin: Origin, log: Logger, clock: Clock = systemClock): Origin {
  let last: OriginError | undefined;
  const retrying = withRetry(origin, {
    log,
    clock,
    onRetry: ({ error }) => {
      last = error;
    },
  });
  return new PatientOrigin(retrying, clock, () => last);
}

class PatientOrigin extends OriginDecorator {
  readonly #clock: Clock;
  readonly #lastFailure: () => OriginError | undefined;

  constructor(below: Origin, clock: Clock, lastFailure: () => OriginError | undefined) {
    super(below);
    this.#clock = clock;
    this.#lastFailure = lastFailure;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    const { signal } = options;
    const ended = new AbortController();
    let isLate = false;
    const onAbort = (): void => ended.abort(signal?.reason);
    const cancel = this.#clock.after(patienceMs, () => {
      isLate = true;
      ended.abort();
    });
    if (signal?.aborted) onAbort();
    else watchAbort(signal, onAbort);
    try {
      await this.below.read(offset, lengthBytes, sink, { ...options, signal: ended.signal });
    } catch (error) {
      if (!isLate || error instanceof OriginError) throw error;
      throw new DeadlineError(`${this.url}, ${lengthBytes} bytes at ${offset}`, patienceMs, { cause: this.#lastFailure() });
    } finally {
      cancel();
      unwatchAbort(signal, onAbort);
    }
  }
}
