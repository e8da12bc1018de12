/** A membership that is what a test says. */
import type { Membership, MembershipStatus, Seed } from '../../src/cluster/membership/membership.js';

export class StillMembership implements Membership {
  seeds: readonly Seed[] = [];
  readonly status: MembershipStatus = { kind: 'static', well: true };
  readonly #listeners = new Set<() => void>();

  constructor(...addresses: string[]) {
    this.name(...addresses);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** From now on these are named. @param seeds `HOST:PORT`, or `ID=HOST:PORT` */
  name(...seeds: string[]): void {
    this.seeds = seeds.map((seed) => {
      const [first = '', second] = seed.split('=');
      return second === undefined ? { address: first } : { id: first, address: second };
    });
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(): void {}

  close(): void {}
}
