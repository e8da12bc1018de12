/**
 * The last known state of all keys under a prefix, kept up to date by a watch.
 *
 * Invariants: `entries` never waits for etcd and never becomes empty because etcd is away. After
 * any end of the watch (a restart, compaction, another leader, lost history) everything is loaded
 * anew. A watch can be dead without an error: on a member without quorum, or in a store that lost
 * its history. So a read through the quorum compares every `checkMs`.
 */
import { type Clock, systemClock } from '../clock.js';
import { waitFor } from '../deadline.js';
import { errorMessage } from '../error.js';
import { holdProcess } from '../hold.js';
import type { Closeable } from '../lifecycle.js';
import type { Logger } from '../log.js';
import { backoffMs } from './backoff.js';
import type { EtcdChange, EtcdClient, EtcdEntry, EtcdSnapshot, EtcdWatch } from './client.js';

export interface EtcdMirrorOptions {
  client: EtcdClient;
  /** Ends with a slash. */
  prefix: string;
  log: Logger;
  clock?: Clock | undefined;
  /** Time between two checks, in ms; 5 s by default. */
  checkMs?: number | undefined;
}

export class EtcdMirror implements Closeable {
  readonly #options: EtcdMirrorOptions;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  /** Waiters for the first load. */
  readonly #loadedWaiters: (() => void)[] = [];
  /** Entries by the key without the prefix. */
  #entries = new Map<string, EtcdEntry>();
  #revision = 0;
  #isLoaded = false;
  #failure: string | undefined = 'not loaded yet';
  #failureCount = 0;
  #watch: EtcdWatch | undefined;
  #cancelTimer: (() => void) | undefined;
  /**
   * Revision behind which a check found the watch. If the next check finds the same, the watch is
   * dead.
   */
  #suspectedAtRevision: number | undefined;
  #closed = false;

  constructor(options: EtcdMirrorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Entries by the key without the prefix. */
  get entries(): ReadonlyMap<string, EtcdEntry> {
    return this.#entries;
  }

  /** True if something was read since the start. */
  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Reason why `entries` may be old; `undefined` if they are not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  start(): void {
    void this.#load();
  }

  /** Resolves to true if it was loaded in time. */
  async loaded(timeoutMs: number): Promise<boolean> {
    if (this.#isLoaded) return true;
    const loaded = new Promise<void>((resolve) => this.#loadedWaiters.push(resolve));
    return holdProcess(waitFor('load from etcd', loaded, { timeoutMs, clock: this.#clock })).then(
      () => true,
      () => false,
    );
  }

  /** Reads the present state. @throws EtcdError */
  async refresh(): Promise<void> {
    const snapshot = await this.#options.client.range(this.#options.prefix);
    if (this.#closed) return;
    if (snapshot.revision < this.#revision) this.#restart('etcd has lost its history');
    else this.#take(snapshot);
  }

  /**
   * Calls back after each change of `entries`, once for changes that came together, and when
   * `failure` comes or goes. The returned function ends that.
   */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Ends the mirror. No listener is called after it. */
  close(): void {
    this.#closed = true;
    this.#listeners.clear();
    this.#cancelTimer?.();
    this.#watch?.close();
  }

  async #load(): Promise<void> {
    const { client, prefix } = this.#options;
    let snapshot: EtcdSnapshot;
    try {
      snapshot = await client.range(prefix);
    } catch (error) {
      this.#restart(errorMessage(error));
      return;
    }
    if (this.#closed) return;
    this.#failureCount = 0;
    this.#suspectedAtRevision = undefined;
    const watch = client.watch(prefix, snapshot.revision + 1, {
      onChanges: (changes) => this.#apply(changes),
      onEnd: (reason) => {
        if (this.#watch === watch) this.#restart(reason);
      },
    });
    this.#watch = watch;
    this.#later(this.#options.checkMs ?? 5000, () => void this.#check(watch));
    if (this.#failure !== undefined) this.#options.log.info({ prefix, count: snapshot.entries.length }, 'loaded from etcd');
    this.#take(snapshot, true);
  }

  /** Loads everything again: at once after a success, with growing pauses otherwise. */
  #restart(reason: string): void {
    if (this.#closed) return;
    this.#watch?.close();
    this.#watch = undefined;
    const isNew = this.#failure === undefined;
    this.#failure = reason;
    this.#later(backoffMs(this.#failureCount), () => void this.#load());
    this.#failureCount += 1;
    if (!isNew) return;
    this.#options.log.warn({ prefix: this.#options.prefix, reason }, 'etcd is away: the last known view stays in force');
    this.#notify();
  }

  async #check(watch: EtcdWatch): Promise<void> {
    let reason: string | undefined;
    try {
      const digest = await this.#options.client.digest(this.#options.prefix);
      if (digest.revision < this.#revision) reason = 'etcd has lost its history';
      else if (digest.count === this.#entries.size && digest.newestModRevision === this.#newestModRevision())
        this.#suspectedAtRevision = undefined;
      else if (this.#suspectedAtRevision === this.#revision) reason = 'the watch is silent';
      else this.#suspectedAtRevision = this.#revision;
    } catch (error) {
      reason = errorMessage(error);
    }
    if (this.#closed || this.#watch !== watch) return;
    if (reason !== undefined) this.#restart(reason);
    else this.#later(this.#options.checkMs ?? 5000, () => void this.#check(watch));
  }

  #newestModRevision(): number {
    let newest = 0;
    for (const { modRevision } of this.#entries.values()) newest = Math.max(newest, modRevision);
    return newest;
  }

  /** @param anyRevision true to accept an older one, too: the store has lost its history */
  #take(snapshot: EtcdSnapshot, anyRevision = false): void {
    if (!anyRevision && snapshot.revision < this.#revision) return;
    const { prefix } = this.#options;
    this.#entries = new Map(snapshot.entries.map((entry) => [entry.key.slice(prefix.length), entry]));
    this.#revision = snapshot.revision;
    if (anyRevision) this.#failure = undefined;
    this.#isLoaded = true;
    for (const resolve of this.#loadedWaiters.splice(0)) resolve();
    this.#notify();
  }

  #apply(changes: EtcdChange[]): void {
    const revision = this.#revision;
    for (const change of changes) {
      // A refresh may have been quicker.
      if (change.revision <= revision) continue;
      const key = change.key.slice(this.#options.prefix.length);
      if (change.entry === undefined) this.#entries.delete(key);
      else this.#entries.set(key, change.entry);
      this.#revision = Math.max(this.#revision, change.revision);
    }
    if (this.#revision !== revision) this.#notify();
  }

  #later(delayMs: number, callback: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#clock.after(delayMs, callback);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
