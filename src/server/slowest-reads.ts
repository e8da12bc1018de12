/** The slowest reads of an export, for operators who look for the cause of a delay. */

import type { Place } from '../block/place.js';
export interface SlowRead {
  offset: number;
  lengthBytes: number;
  source: Place;
  ms: number;
}

const maxReads = 10;

export class SlowestReads {
  /** Reads in descending order of time. */
  readonly #reads: SlowRead[] = [];

  get reads(): readonly SlowRead[] {
    return this.#reads;
  }

  /** Offers a read. Costs one comparison unless the read is among the slowest. */
  offer(offset: number, lengthBytes: number, source: Place, ms: number): void {
    if (this.#reads.length === maxReads && ms <= (this.#reads.at(-1)?.ms ?? 0)) return;
    this.#reads.push({ offset, lengthBytes, source, ms });
    this.#reads.sort((left, right) => right.ms - left.ms);
    this.#reads.length = Math.min(this.#reads.length, maxReads);
  }
}
