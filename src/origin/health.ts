/**
 * Remembers the last result of an origin for `copse image status`, and logs each change of it. An
 * outage is one line, however many attempts fail.
 *
 * When to use: directly around an origin, below `withRetry`, so that it sees every attempt. Cost:
 * nothing worth measuring.
 */

import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from './decorator.js';
import { type Origin, OriginError } from './origin.js';

/**
 * `unavailable` also stands for an origin that refuses or breaks its protocol. The message says
 * which.
 */
export type OriginHealth = 'unused' | 'ok' | 'unavailable' | 'changed';

export interface HealthyOrigin extends Origin {
  readonly health: OriginHealth;
  /** Last failure and its remedy; `undefined` while all is well. */
  readonly healthMessage: string | undefined;
}

export function withHealth(origin: Origin, options: { log?: Logger | undefined } = {}): HealthyOrigin {
  return new ObservedOrigin(origin, options.log);
}

class ObservedOrigin extends OriginDecorator implements HealthyOrigin {
  health: OriginHealth = 'unused';
  healthMessage: string | undefined;
  readonly #log: Logger | undefined;

  constructor(origin: Origin, log: Logger | undefined) {
    super(origin);
    this.#log = log;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void> {
    try {
      await this.below.read(offset, lengthBytes, sink, options);
    } catch (error) {
      if (error instanceof OriginError) this.#turn(error.code === 'ERR_ORIGIN_CHANGED' ? 'changed' : 'unavailable', errorMessage(error));
      throw error;
    }
    if (this.health !== 'ok') this.#turn('ok', undefined);
  }

  #turn(health: OriginHealth, message: string | undefined): void {
    const before = this.health;
    this.health = health;
    this.healthMessage = message;
    if (before === health) return;
    const fields = { origin: this.url, health, message };
    if (health === 'changed') this.#log?.error(fields, 'origin changed');
    else if (health === 'unavailable') this.#log?.warn(fields, 'origin is unavailable');
    else if (before !== 'unused') this.#log?.info(fields, 'origin is well again');
  }
}
