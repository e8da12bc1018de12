/**
 * Counts requests to an origin and the bytes that it sent.
 *
 * When to use: directly around an origin, below `withRetry`, so that every attempt counts. Cost:
 * one small object per read and two looks at the clock.
 */

import { type Clock, systemClock } from '../base/clock.js';
import { LatencyHistogram } from '../base/metric.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from './decorator.js';
import type { Origin } from './origin.js';
import { CountingSink } from './sink.js';

export class OriginMeter {
  /** Attempts that began, by kind of requester. */
  readonly requests = { demand: 0, background: 0, prefetch: 0 };
  /** Bytes that were transferred, those of attempts that failed later included. */
  bytes = 0;
  /** Bytes that the origin called zeros, without transfer. */
  zeroBytes = 0;
  /** Attempts that failed, those that were given up included. */
  failures = 0;
  /** Latency of attempts that succeeded, from the call to the last byte. */
  readonly latency = new LatencyHistogram();
}

export function withMeter(origin: Origin, meter: OriginMeter, clock: Clock = systemClock): Origin {
  return new MeteredOrigin(origin, meter, clock);
}

class MeteredOrigin extends OriginDecorator {
  readonly #meter: OriginMeter;
  readonly #clock: Clock;

  constructor(origin: Origin, meter: OriginMeter, clock: Clock) {
    super(origin);
    this.#meter = meter;
    this.#clock = clock;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void> {
    const meter = this.#meter;
    const startMs = this.#clock.nowMs();
    const counting = new CountingSink(sink);
    meter.requests[options?.priority ?? 'demand'] += 1;
    try {
      await this.below.read(offset, lengthBytes, counting, options);
      meter.latency.observe(this.#clock.nowMs() - startMs);
    } catch (error) {
      meter.failures += 1;
      throw error;
    } finally {
      meter.bytes += counting.dataBytes;
      meter.zeroBytes += counting.zeroBytes;
    }
  }
}
