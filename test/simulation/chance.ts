/** All chance of a run, from its seed: the same seed draws the same numbers. Source of the generator: "mulberry32" by T. Ettinger, public domain. */
export class Chance {
  #state: number;

  /** @param seed an integer from 0 to 2^32 - 1 */
  constructor(seed: number) {
    this.#state = seed >>> 0;
    // Neighbouring seeds begin alike.
    for (let skipped = 0; skipped < 4; skipped += 1) this.next();
  }

  /** In [0, 1). */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };

  between(least: number, beyond: number): number {
    return least + this.next() * (beyond - least);
  }

  /** An integer from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** `true` with that probability. */
  happens(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws RangeError when there is none */
  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new RangeError('nothing to pick from');
    return picked;
  }
}
