/**
 * A bound on bytes (or on anything countable) that many callers share, first come, first served.
 *
 * Invariant: the sum of what is taken never exceeds `limit`. One caller that takes more than
 * `limit` is the exception: it runs alone rather than wait for ever.
 */
export class Budget {
  readonly limit: number;
  #taken = 0;
  readonly #waiting: { amount: number; grant: () => void }[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes `amount` at once if there is room and no caller waits. */
  tryTake(amount: number): boolean {
    if (this.#waiting.length > 0 || !this.#fits(amount)) return false;
    this.#taken += amount;
    return true;
  }

  /** Resolves once `amount` is taken; give it back with `release`. */
  take(amount: number): Promise<void> {
    if (this.tryTake(amount)) return Promise.resolve();
    return new Promise((grant) => this.#waiting.push({ amount, grant }));
  }

  release(amount: number): void {
    this.#taken -= amount;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.amount); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += next.amount;
      next.grant();
    }
  }

  #fits(amount: number): boolean {
    return this.#taken === 0 || this.#taken + amount <= this.limit;
  }
}
