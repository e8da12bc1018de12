/**
 * The watches of all addresses that membership names, and of those that it no longer names but
 * whose nodes are members.
 *
 * Invariant: there is one watch per address, in the order in which the addresses came.
 */
import { Watch, type WatchOptions, type WatchTimes } from './watch.js';

export const defaultTimes: WatchTimes = {
  pingIntervalMs: 1000,
  pingTimeoutMs: 2000,
  suspectTimeoutMs: 1000,
  backoffMinMs: 250,
  backoffMaxMs: 2000,
};

export type WatchSetOptions = Omit<WatchOptions, keyof WatchTimes | 'address'> & Partial<WatchTimes>;

export class WatchSet {
  readonly #options: WatchSetOptions;
  readonly #watches = new Map<string, Watch>();
  readonly #startMs: number;

  constructor(options: WatchSetOptions) {
    this.#options = options;
    this.#startMs = options.clock.nowMs();
  }

  *[Symbol.iterator](): Iterator<Watch> {
    yield* this.#watches.values();
  }

  of(address: string): Watch | undefined {
    return this.#watches.get(address);
  }

  /** Begins to watch an address, unless it is watched. */
  add(address: string): void {
    if (this.#watches.has(address)) return;
    this.#watches.set(address, new Watch({ ...this.#options, ...this.#times(), address }));
  }

  remove(address: string): void {
    this.#watches.get(address)?.close();
    this.#watches.delete(address);
  }

  /**
   * Silence of a node that is not up, in ms; time since the start of this node if it was never
   * heard.
   */
  silentMs(id: string): number {
    const watches = [...this].filter(({ lastStatement }) => lastStatement?.id === id);
    if (watches.length === 0) return this.#options.clock.nowMs() - this.#startMs;
    return Math.min(...watches.map(({ silentMs }) => silentMs));
  }

  /** Does something with each watch. Resolves when all have ended. */
  async each(action: (watch: Watch) => Promise<void>): Promise<void> {
    await Promise.all([...this].map(action));
  }

  close(): void {
    for (const address of [...this.#watches.keys()]) this.remove(address);
  }

  #times(): WatchTimes {
    const given = Object.keys(defaultTimes).flatMap((key) => {
      const value = this.#options[key as keyof WatchTimes];
      return value === undefined ? [] : [[key, value]];
    });
    return { ...defaultTimes, ...Object.fromEntries(given) };
  }
}
