/**
 * What a replay compares: textbook policies as models over chunk ids. Each holds at most `capacity` chunks.
 *
 * Sources: LRU; CLOCK (Corbató 1968), in order of insertion; SIEVE (Zhang et al., NSDI 2024); S3-FIFO (Yang et al., SOSP 2023).
 */

/** What a replay drives. A chunk that is not held is inserted by whoever missed it. */
export interface ReplayPolicy {
  has(chunk: number): boolean;
  /** A read of a held chunk. */
  use(chunk: number): void;
  insert(chunk: number): void | Promise<void>;
}

export class Lru implements ReplayPolicy {
  readonly #held = new Set<number>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(chunk: number): boolean {
    return this.#held.has(chunk);
  }

  use(chunk: number): void {
    this.#held.delete(chunk);
    this.#held.add(chunk);
  }

  insert(chunk: number): void {
    const [oldest] = this.#held;
    if (this.#held.size >= this.#capacity && oldest !== undefined) this.#held.delete(oldest);
    this.#held.add(chunk);
  }
}

/** Second chance over a queue: a used chunk goes to its end, an unused one is the victim. */
export class Clock implements ReplayPolicy {
  /** In queue order; whether each was used. */
  readonly #held = new Map<number, boolean>();
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(chunk: number): boolean {
    return this.#held.has(chunk);
  }

  use(chunk: number): void {
    this.#held.set(chunk, true);
  }

  insert(chunk: number): void {
    while (this.#held.size >= this.#capacity) {
      const [first] = this.#held;
      if (first === undefined) break;
      this.#held.delete(first[0]);
      if (first[1]) this.#held.set(first[0], false);
    }
    this.#held.set(chunk, false);
  }
}

/** As CLOCK, but a used chunk stays where it is: the hand passes over it, and new ones come in behind the hand. */
export class Sieve implements ReplayPolicy {
  /** Oldest first. */
  readonly #held = new Map<number, boolean>();
  readonly #capacity: number;
  #hand: Iterator<[number, boolean]> | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  has(chunk: number): boolean {
    return this.#held.has(chunk);
  }

  use(chunk: number): void {
    this.#held.set(chunk, true);
  }

  insert(chunk: number): void {
    while (this.#held.size >= this.#capacity) {
      this.#hand ??= this.#held.entries();
      const next = this.#hand.next();
      if (next.done) this.#hand = undefined;
      else if (next.value[1]) this.#held.set(next.value[0], false);
      else this.#held.delete(next.value[0]);
    }
    this.#held.set(chunk, false);
  }
}

/** A tenth of the room for new chunks; those that are used there, or come back soon after they left, go to the main queue, which is a CLOCK. */
export class S3Fifo implements ReplayPolicy {
  readonly #small = new Map<number, number>();
  readonly #main = new Map<number, number>();
  readonly #ghost = new Set<number>();
  readonly #capacity: number;
  readonly #smallCapacity: number;
  readonly #neededUses: number;
  readonly #maxUses: number;

  /** @param neededUses in the small queue, for the main one: 2 as published */
  constructor(capacity: number, { smallShare = 0.1, neededUses = 2, maxUses = 3 } = {}) {
    this.#capacity = capacity;
    this.#smallCapacity = Math.max(1, Math.floor(capacity * smallShare));
    this.#neededUses = neededUses;
    this.#maxUses = maxUses;
  }

  has(chunk: number): boolean {
    return this.#small.has(chunk) || this.#main.has(chunk);
  }

  use(chunk: number): void {
    const queue = this.#small.has(chunk) ? this.#small : this.#main;
    queue.set(chunk, Math.min(this.#maxUses, (queue.get(chunk) ?? 0) + 1));
  }

  insert(chunk: number): void {
    while (this.#small.size + this.#main.size >= this.#capacity) {
      if (this.#small.size >= this.#smallCapacity || this.#main.size === 0) this.#evictSmall();
      else this.#evictMain();
    }
    (this.#ghost.delete(chunk) ? this.#main : this.#small).set(chunk, 0);
  }

  #evictSmall(): void {
    const [first] = this.#small;
    if (first === undefined) return;
    this.#small.delete(first[0]);
    if (first[1] >= this.#neededUses) {
      this.#main.set(first[0], 0);
      return;
    }
    this.#ghost.add(first[0]);
    const [oldest] = this.#ghost;
    if (this.#ghost.size > this.#capacity - this.#smallCapacity && oldest !== undefined) this.#ghost.delete(oldest);
  }

  #evictMain(): void {
    const [first] = this.#main;
    if (first === undefined) return;
    this.#main.delete(first[0]);
    if (first[1] > 0) this.#main.set(first[0], first[1] - 1);
  }
}
