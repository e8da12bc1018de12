/**
 * How much of the host's disk all cached images may take together: a budget in bytes and a floor of free space, and eviction under both.
 *
 * A store asks for room first. Eviction begins in the background a little before the limit, so that a fetch seldom waits for it; at the limit the fetch
 * waits, and when nothing can be evicted it is told that there is no room, and the bytes pass through to the guest without being kept.
 *
 * Invariants: bytes on the disk + bytes being stored stay at or below the budget; nothing is stored while free space is below the floor.
 */
import { statfs } from 'node:fs/promises';
import { Budget } from '../base/budget.js';
import type { Clock } from '../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { formatSize, MiB } from '../base/size.js';
import type { ChunkStore } from './chunk-store.js';

export interface CacheSpaceOptions {
  /** A directory on the file system that holds the cache. */
  path: string;
  budgetBytes: number;
  minFreeBytes: number;
  clock: Clock;
  log: Logger;
  /** Free bytes of the file system; statfs(2) unless a test says otherwise. */
  freeBytes?: () => Promise<number>;
}

export type SpaceState = 'ok' | 'full' | 'broken';

/** How old a reading of free space may be. */
const freeAgeMs = 1000;
/** How long after a failed store the disk is left alone. */
const brokenMs = 10_000;
const sweepScan = 8192;
const sweepCount = 512;

export class CacheSpace {
  readonly budgetBytes: number;
  readonly minFreeBytes: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #readFree: () => Promise<number>;
  readonly #stores: ChunkStore[] = [];
  /** Content that nobody reads any more: goes before anything else. The callback is told when nothing is left. */
  readonly #orphans = new Map<ChunkStore, () => void>();
  #nextStore = 0;
  /** Bytes being stored; a small share of the budget, so that what is on its way never crowds out what is there. */
  readonly #reserved: Budget;
  #freeBytes = Number.POSITIVE_INFINITY;
  #freeReadAtMs = Number.NEGATIVE_INFINITY;
  #freeReadCount = 0;
  /** Since the start: tells what was written while free space was being read. */
  #writtenBytes = 0;
  #freeReading: Promise<void> | undefined;
  #eviction: Promise<void> | undefined;
  #brokenUntilMs = Number.NEGATIVE_INFINITY;
  #state: SpaceState = 'ok';
  #message: string | undefined;
  #cancelWatch: (() => void) | undefined;
  /** Over all images since the start. */
  evictedChunks = 0;
  evictedBytes = 0;

  constructor(options: CacheSpaceOptions) {
    this.budgetBytes = options.budgetBytes;
    this.minFreeBytes = options.minFreeBytes;
    this.#reserved = new Budget(Math.min(64 * MiB, options.budgetBytes / 4));
    this.#clock = options.clock;
    this.#log = options.log;
    this.#readFree =
      options.freeBytes ??
      (async () => {
        const stat = await statfs(options.path);
        return stat.bavail * stat.bsize;
      });
    this.#watch();
  }

  get state(): SpaceState {
    return this.#state;
  }

  /** Why nothing is kept just now. */
  get message(): string | undefined {
    return this.#message;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const store of this.#stores) bytes += store.dataBytes;
    for (const store of this.#orphans.keys()) bytes += store.dataBytes;
    return bytes;
  }

  add(store: ChunkStore): void {
    this.#stores.push(store);
  }

  /** @param onEmpty called once, when all of the store was evicted; it is no longer known here then */
  addOrphan(store: ChunkStore, onEmpty: () => void): void {
    this.#orphans.set(store, onEmpty);
  }

  remove(store: ChunkStore): void {
    this.#orphans.delete(store);
    const index = this.#stores.indexOf(store);
    if (index >= 0) this.#stores.splice(index, 1);
  }

  /** Free bytes of the file system now. */
  async freeBytes(): Promise<number> {
    await this.#refreshFree();
    return this.#freeBytes;
  }

  /**
   * Runs `store` once there is room for `lengthBytes`.
   *
   * @throws CopseError `ERR_CACHE_FULL` or `ERR_CACHE_BROKEN`: not stored; whoever waits for the bytes gets them all the same
   */
  async use(lengthBytes: number, store: () => Promise<unknown>): Promise<void> {
    this.#assertWell();
    if (this.#clock.nowMs() - this.#freeReadAtMs > freeAgeMs) await this.#refreshFree();
    await this.#reserved.take(lengthBytes);
    try {
      if (this.#excessBytes() > 0) await this.#makeRoom();
      else if (this.#excessBytes() > -this.#reserveBytes()) void this.#evict();
      // Others may have found out that it isn't, while this one waited.
      this.#assertWell();
      await store();
      // Until the next reading, what is written here is what the file system has less.
      this.#freeBytes -= lengthBytes;
      this.#writtenBytes += lengthBytes;
      if (this.#isWell()) this.#enter('ok', undefined);
    } catch (error) {
      if (isOfTheDisk(error)) this.#fail(error);
      throw error;
    } finally {
      this.#reserved.release(lengthBytes);
    }
  }

  close(): void {
    this.#cancelWatch?.();
  }

  #isWell(): boolean {
    return this.#clock.nowMs() >= this.#brokenUntilMs;
  }

  #assertWell(): void {
    if (this.#isWell()) return;
    throw new CopseError('ERR_CACHE_BROKEN', `the cache rests after a failure: ${this.#message}`);
  }

  /** Others take room while an eviction ends, so that one may not do; only one that finds nothing to evict means full. */
  async #makeRoom(): Promise<void> {
    while (this.#excessBytes() > 0) {
      const joined = this.#eviction !== undefined;
      const evictedBytes = this.evictedBytes;
      await this.#evict();
      this.#assertWell();
      if (joined || this.evictedBytes > evictedBytes || this.#excessBytes() <= 0) continue;
      const message = this.#fullMessage();
      this.#enter('full', message);
      throw new CopseError('ERR_CACHE_FULL', message);
    }
  }

  /** Bytes that are too many: positive when something has to go before anything may be stored. */
  #excessBytes(): number {
    const reservedBytes = this.#reserved.taken;
    return Math.max(this.usedBytes + reservedBytes - this.budgetBytes, this.minFreeBytes + reservedBytes - this.#freeBytes);
  }

  /** How far below the limits eviction works ahead: a small share of what there is, or a disk that others have filled would leave nothing. */
  #reserveBytes(): number {
    return Math.min(256 * MiB, Math.floor(Math.min(this.budgetBytes, this.usedBytes) / 32));
  }

  /** One eviction at a time, however many wait for it. */
  #evict(): Promise<void> {
    this.#eviction ??= this.#evictDown().finally(() => {
      this.#eviction = undefined;
    });
    return this.#eviction;
  }

  async #evictDown(): Promise<void> {
    try {
      // Clearing the used marks takes one pass over a store, collecting another; the hand begins anywhere.
      const orphanPasses = new Map<ChunkStore, number>();
      let passesLeft = this.#stores.length * 3;
      // Looked at anew for each step: the stores' own threads change how much there is at any moment.
      while (this.#excessBytes() > -this.#reserveBytes()) {
        const orphan = [...this.#orphans.keys()].find((each) => (orphanPasses.get(each) ?? 0) < 3);
        if (orphan !== undefined) {
          const { wrapped, freedBytes } = await this.#evictFrom(orphan);
          if (wrapped && freedBytes === 0) orphanPasses.set(orphan, (orphanPasses.get(orphan) ?? 0) + 1);
          this.#forgetIfEmpty(orphan);
          continue;
        }
        const store = this.#stores[this.#nextStore % this.#stores.length];
        if (store === undefined || passesLeft === 0) break;
        if (store.dataBytes === 0 || (await this.#evictFrom(store)).wrapped) {
          passesLeft -= 1;
          this.#nextStore += 1;
        }
      }
      await this.#refreshFree();
    } catch (error) {
      this.#fail(error);
    }
  }

  #forgetIfEmpty(orphan: ChunkStore): void {
    const onEmpty = this.#orphans.get(orphan);
    // Taken back meanwhile, by somebody who reads it again: it is not for us to remove.
    if (orphan.dataBytes > 0 || onEmpty === undefined) return;
    this.#orphans.delete(orphan);
    onEmpty();
  }

  /** One step of a store's hand. */
  async #evictFrom(store: ChunkStore): Promise<{ wrapped: boolean; freedBytes: number }> {
    const wantedCount = Math.ceil((this.#excessBytes() + this.#reserveBytes()) / store.chunkBytes);
    const { found, wrapped } = store.sweep(Math.min(sweepScan, store.chunkCount), Math.max(1, Math.min(sweepCount, wantedCount)));
    if (found.length === 0) return { wrapped, freedBytes: 0 };
    const freeReadCount = this.#freeReadCount;
    const freedBytes = await store.evict(found);
    // Those in use were passed over.
    this.evictedChunks += Math.ceil(freedBytes / store.chunkBytes);
    this.evictedBytes += freedBytes;
    // A reading since then has seen what was freed.
    if (freeReadCount === this.#freeReadCount) this.#freeBytes += freedBytes;
    return { wrapped, freedBytes };
  }

  /** One reading at a time: whoever needs it waits for it, since the one before it may be none at all. */
  #refreshFree(): Promise<void> {
    this.#freeReading ??= this.#readFreeNow().finally(() => {
      this.#freeReading = undefined;
    });
    return this.#freeReading;
  }

  async #readFreeNow(): Promise<void> {
    const writtenBytes = this.#writtenBytes;
    try {
      // What was written meanwhile counts twice, perhaps: rather too little free than too much.
      this.#freeBytes = (await this.#readFree()) - (this.#writtenBytes - writtenBytes);
      this.#freeReadCount += 1;
    } catch (error) {
      this.#fail(error);
    }
    this.#freeReadAtMs = this.#clock.nowMs();
  }

  /** The disk may fill for other reasons: the cache shrinks then, though nobody stores anything. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(5000, () => {
      this.#watch();
      void this.#refreshFree().then(() => {
        if (this.#excessBytes() > 0) return this.#evict();
        return undefined;
      });
    });
  }

  #fullMessage(): string {
    const free = formatSize(Math.max(0, this.#freeBytes));
    return `nothing more can be evicted: ${formatSize(this.usedBytes)} cached of ${formatSize(this.budgetBytes)}, ${free} free on the disk, which keeps ${formatSize(this.minFreeBytes)} free`;
  }

  #fail(error: unknown): void {
    this.#brokenUntilMs = this.#clock.nowMs() + brokenMs;
    this.#enter(errorCode(error) === 'ENOSPC' ? 'full' : 'broken', errorMessage(error));
  }

  /** Says a change of state once, not once a chunk. */
  #enter(state: SpaceState, message: string | undefined): void {
    this.#message = message;
    if (state === this.#state) return;
    this.#state = state;
    if (state === 'ok') this.#log.info('the cache stores again');
    else this.#log.error({ state, reason: message }, 'the cache does not store: reads pass through until there is room again');
  }
}

/** EBUSY and ERR_CLOSED are about one chunk and one image; the disk is well. */
function isOfTheDisk(error: unknown): boolean {
  return !(error instanceof CopseError) && !['EBUSY', 'ERR_CLOSED'].includes(errorCode(error));
}
