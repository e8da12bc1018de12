/**
 * A map whose values are read in the order of their keys.
 *
 * When to use: for many entries that are listed more often than they change. Cost: one sort at the
 * first read of `sorted` after a change.
 */
export class SortedMap<T> {
  readonly #entries = new Map<string, T>();
  #sorted: readonly T[] | undefined;

  get size(): number {
    return this.#entries.size;
  }

  /** The same array until the map changes. */
  get sorted(): readonly T[] {
    this.#sorted ??= [...this.#entries].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, value]) => value);
    return this.#sorted;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  set(key: string, value: T): void {
    this.#sorted = undefined;
    this.#entries.set(key, value);
  }

  delete(key: string): boolean {
    if (!this.#entries.delete(key)) return false;
    this.#sorted = undefined;
    return true;
  }
}
