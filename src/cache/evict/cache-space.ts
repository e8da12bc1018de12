/**
 * How much of the host's disk all cached images may take together: a budget in bytes and a floor of free space, and when to evict. What goes is `Eviction`'s to choose.
 *
 * A store asks for room first. Eviction begins in the background a little before the limit, so that a fetch seldom waits for it; at the limit the fetch
 * waits, and when nothing can be evicted it is told that there is no room, and the bytes pass through to the guest without being kept. A budget of 0 is no trouble: such a
 * node keeps nothing, and says so without a word in the log.
 *
 * A disk that shares the file system and finds no room has the cache evict for it (`yieldRoom`).
 *
 * Invariants: bytes on the disk + bytes being stored stay at or below the budget; nothing is stored while free space is below the floor.
 */
import { statfs } from 'node:fs/promises';
import { Budget } from '../../base/budget.js';
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { formatSize, MiB } from '../../base/size.js';
import type { ChunkStore } from '../store/chunk-store.js';
import { Eviction, type SharedStore } from './eviction.js';
import { YieldedRoom } from './yielded-room.js';

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
const nothingKept = 'this node keeps nothing: its cache has a size of 0, so that all bytes pass through';

export class CacheSpace {
  readonly budgetBytes: number;
  readonly minFreeBytes: number;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #readFree: () => Promise<number>;
  readonly #eviction = new Eviction();
  readonly #yielded = new YieldedRoom();
  /** Bytes of each store as they are in `#usedBytes`. */
  readonly #counted = new Map<ChunkStore, number>();
  #usedBytes = 0;
  /** Bytes being stored; a small share of the budget, so that what is on its way never crowds out what is there. */
  readonly #reserved: Budget;
  #freeBytes = Number.POSITIVE_INFINITY;
  #freeReadAtMs = Number.NEGATIVE_INFINITY;
  #freeReadCount = 0;
  /** Since the start: tells what was written while free space was being read. */
  #writtenBytes = 0;
  #freeReading: Promise<void> | undefined;
  #evicting: Promise<void> | undefined;
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
    if (this.budgetBytes === 0) [this.#state, this.#message] = ['full', nothingKept];
    this.#watch();
  }

  get state(): SpaceState {
    return this.#state;
  }

  /** Why nothing is kept just now. */
  get message(): string | undefined {
    return this.#message;
  }

  /** Counted as it changes: a sum over 20 000 images for each chunk that is stored would take longer than storing it. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** With `isHome`, copies of chunks whose home is elsewhere go before this node's own, of whatever store. */
  add(store: ChunkStore, options: SharedStore = {}): void {
    this.#eviction.add(store, options);
    this.#count(store);
  }

  /** @param onEmpty called once, when all of the store was evicted; it is no longer known here then */
  addOrphan(store: ChunkStore, onEmpty: () => void): void {
    this.#eviction.addOrphan(store, () => {
      this.#uncount(store);
      onEmpty();
    });
    this.#count(store);
  }

  remove(store: ChunkStore): void {
    this.#eviction.remove(store);
    this.#uncount(store);
  }

  #count(store: ChunkStore): void {
    this.#counted.set(store, 0);
    store.onDataBytes((dataBytes) => {
      this.#usedBytes += dataBytes - (this.#counted.get(store) ?? 0);
      this.#counted.set(store, dataBytes);
    });
  }

  #uncount(store: ChunkStore): void {
    this.#usedBytes -= this.#counted.get(store) ?? 0;
    store.onDataBytes(() => {});
    this.#counted.delete(store);
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
    if (this.budgetBytes === 0) throw new CopseError('ERR_CACHE_FULL', nothingKept);
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

  /**
   * Evicts so many bytes for a disk on the same file system that found no room. Resolves to true if something was freed;
   * to false, with nothing evicted, where all of the cache would not be enough.
   */
  async yieldRoom(lengthBytes: number): Promise<boolean> {
    await this.#refreshFree();
    if (this.usedBytes + Math.max(0, this.#freeBytes) < lengthBytes) return false;
    const heldBytes = Math.min(64 * MiB, Math.floor(this.usedBytes / 8));
    const request = this.#yielded.begin(lengthBytes, heldBytes, this.#clock.nowMs());
    try {
      // The first may be the end of one that began before, and looked at what is wanted for the last time.
      for (let round = 0; round < 2 && request.freedBytes < lengthBytes; round += 1) await Promise.race([request.enough, this.#evict()]);
      return request.freedBytes > 0;
    } finally {
      this.#yielded.end(request);
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
      const joined = this.#evicting !== undefined;
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
    const floorBytes = this.minFreeBytes + this.#yielded.heldBytes(this.#clock.nowMs());
    return Math.max(
      this.usedBytes + reservedBytes - this.budgetBytes,
      floorBytes + reservedBytes - this.#freeBytes,
      this.#yielded.owedBytes,
    );
  }

  /** How far below the limits eviction works ahead: a small share of what there is, or a disk that others have filled would leave nothing. */
  #reserveBytes(): number {
    return Math.min(256 * MiB, Math.floor(Math.min(this.budgetBytes, this.usedBytes) / 32));
  }

  /** One eviction at a time, however many wait for it. */
  #evict(): Promise<void> {
    this.#evicting ??= this.#evictDown().finally(() => {
      this.#evicting = undefined;
    });
    return this.#evicting;
  }

  async #evictDown(): Promise<void> {
    try {
      await this.#eviction.evict({
        wantedBytes: () => this.#excessBytes() + this.#reserveBytes(),
        free: (store, chunkIndices) => this.#free(store, chunkIndices),
      });
      await this.#refreshFree();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #free(store: ChunkStore, chunkIndices: Uint32Array): Promise<void> {
    const freeReadCount = this.#freeReadCount;
    const freedBytes = await store.evict(chunkIndices);
    // Those in use were passed over.
    this.evictedChunks += Math.ceil(freedBytes / store.chunkBytes);
    this.evictedBytes += freedBytes;
    this.#yielded.freed(freedBytes);
    // A reading since then has seen what was freed.
    if (freeReadCount === this.#freeReadCount) this.#freeBytes += freedBytes;
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
    if (this.budgetBytes === 0) return;
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
