/** What a soak did, what went wrong on the way as it may, and what may not be. */

export class Tally {
  readonly faults: string[] = [];
  readonly #counts = new Map<string, number>();

  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  /** Something that must not be. Said at once, in case the soak is ended before its time. */
  fault(what: string): void {
    this.faults.push(what);
    if (this.faults.length <= 40) console.error(`soak: FAULT: ${what}`);
  }

  /** One line, sorted by name. */
  toString(): string {
    const counts = [...this.#counts].sort(([left], [right]) => (left < right ? -1 : 1));
    return counts.map(([what, count]) => `${what} ${count}`).join(', ');
  }
}
