/**
 * The room that all cached images may take together on the host's disk: a budget in bytes, and a
 * floor of free space. `Eviction` chooses which chunks go.
 *
 * A store asks for room first. Eviction begins in the background a little below the limit, so that
 * a store seldom waits for it. At the limit the store waits. When nothing can be evicted the store
 * fails, and the bytes pass through to the guest without being kept. A disk on the same file system
 * that finds no room has the cache evict for it (`yieldRoom`).
 *
 * Invariants: bytes on the disk and bytes being stored stay at or below the budget together.
 * Nothing is stored while free space is below the floor.
 */
import { Budget } from '../../base/budget.js';
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { formatSize, MiB } from '../../base/size.js';
import type { ChunkStore } from '../store/chunk-store.js';
import { Eviction, type SharedStore } from './eviction.js';
import { FreeSpace } from './free-space.js';
import { SpaceHealth, type SpaceState } from './space-health.js';
import { YieldedRoom } from './yielded-room.js';

export interface CacheSpaceOptions {
  /** Directory on the file system that holds the cache. */
  path: string;
  budgetBytes: number;
  minFreeBytes: number;
  clock: Clock;
  log: Logger;
  /** Reads the free bytes of the file system; default statfs(2). */
  freeBytes?: () => Promise<number>;
}

/** Interval at which free space is watched while nothing is stored, in ms. */
const watchMs = 5000;

export class CacheSpace {
  readonly budgetBytes: number;
  readonly minFreeBytes: number;
  readonly #clock: Clock;
  readonly #health: SpaceHealth;
  readonly #free: FreeSpace;
  readonly #eviction = new Eviction();
  readonly #yielded = new YieldedRoom();
  /** Bytes of each store as counted in `#usedBytes`. */
  readonly #counted = new Map<ChunkStore, number>();
  #usedBytes = 0;
  /**
   * Bytes that are being stored. The bound is a small share of the budget, so that chunks on their
   * way never displace many stored ones.
   */
  readonly #reserved: Budget;
  #evicting: Promise<void> | undefined;
  #cancelWatch: (() => void) | undefined;
  /** Chunks and bytes that were evicted since the start, of all images. */
  evictedChunks = 0;
  evictedBytes = 0;

  constructor(options: CacheSpaceOptions) {
    this.budgetBytes = options.budgetBytes;
    this.minFreeBytes = options.minFreeBytes;
    this.#reserved = new Budget(Math.min(64 * MiB, options.budgetBytes / 4));
    const { path, clock, log, freeBytes } = options;
    this.#clock = clock;
    this.#health = new SpaceHealth({ clock, log, keepsNothing: options.budgetBytes === 0 });
    this.#free = new FreeSpace({ path, clock, freeBytes, onFailure: (error) => this.#health.failed(error) });
    this.#watch();
  }

  get state(): SpaceState {
    return this.#health.state;
  }

  /** Reason why the cache stores nothing at present. */
  get message(): string | undefined {
    return this.#health.message;
  }

  /**
   * Bytes on the disk, kept up to date with each change. A sum over 20 000 images would take longer
   * than storing a chunk.
   */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Adds a store. With `isHome`, copies of chunks whose home is another node are evicted before
   * this node's own chunks, in all stores.
   */
  add(store: ChunkStore, options: SharedStore = {}): void {
    this.#eviction.add(store, options);
    this.#count(store);
  }

  /** @param onEmpty called once all chunks of the store are evicted; the store is removed then */
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

  /** Reads the free bytes of the file system. */
  async freeBytes(): Promise<number> {
    await this.#free.refresh();
    return this.#free.bytes;
  }

  /**
   * Runs `store` once there is room for `lengthBytes`.
   *
   * @throws CopseError `ERR_CACHE_FULL` or `ERR_CACHE_BROKEN`: the chunk is not stored, and its
   * waiters get the bytes all the same
   */
  async use(lengthBytes: number, store: () => Promise<unknown>): Promise<void> {
    this.#health.assertWell();
    if (this.#free.isStale) await this.#free.refresh();
    await this.#reserved.take(lengthBytes);
    try {
      if (this.#excessBytes() > 0) await this.#makeRoom();
      else if (this.#excessBytes() > -this.#reserveBytes()) void this.#evict();
      // Another store may have failed while this one waited.
      this.#health.assertWell();
      await store();
      this.#free.written(lengthBytes);
      this.#health.stored();
    } catch (error) {
      if (isOfTheDisk(error)) this.#health.failed(error);
      throw error;
    } finally {
      this.#reserved.release(lengthBytes);
    }
  }

  /**
   * Evicts `lengthBytes` for a disk on the same file system that found no room. Resolves to true if
   * bytes were freed. Resolves to false, with nothing evicted, if the whole cache would not be
   * enough.
   */
  async yieldRoom(lengthBytes: number): Promise<boolean> {
    await this.#free.refresh();
    if (this.usedBytes + Math.max(0, this.#free.bytes) < lengthBytes) return false;
    const heldBytes = Math.min(64 * MiB, Math.floor(this.usedBytes / 8));
    const request = this.#yielded.begin(lengthBytes, heldBytes, this.#clock.nowMs());
    try {
      // The first eviction may be the end of one that began before the request. A second one knows
      // of it.
      for (let round = 0; round < 2 && request.freedBytes < lengthBytes; round += 1) await Promise.race([request.enough, this.#evict()]);
      return request.freedBytes > 0;
    } finally {
      this.#yielded.end(request);
    }
  }

  close(): void {
    this.#cancelWatch?.();
  }

  /**
   * Waits until there is room. Other stores take room while an eviction ends, so one eviction may
   * not do. The cache is full only when an eviction finds nothing.
   */
  async #makeRoom(): Promise<void> {
    while (this.#excessBytes() > 0) {
      const joined = this.#evicting !== undefined;
      const evictedBytes = this.evictedBytes;
      await this.#evict();
      this.#health.assertWell();
      if (joined || this.evictedBytes > evictedBytes || this.#excessBytes() <= 0) continue;
      this.#health.full(this.#fullMessage());
    }
  }

  /** Bytes beyond the limits. If positive, this many bytes must go before a chunk is stored. */
  #excessBytes(): number {
    const reservedBytes = this.#reserved.taken;
    const floorBytes = this.minFreeBytes + this.#yielded.heldBytes(this.#clock.nowMs());
    return Math.max(
      this.usedBytes + reservedBytes - this.budgetBytes,
      floorBytes + reservedBytes - this.#free.bytes,
      this.#yielded.owedBytes,
    );
  }

  /**
   * Distance below the limits at which eviction works ahead. It is a small share of what is cached,
   * so that a disk that other programs fill leaves something.
   */
  #reserveBytes(): number {
    return Math.min(256 * MiB, Math.floor(Math.min(this.budgetBytes, this.usedBytes) / 32));
  }

  /** Runs one eviction at a time; all callers share it. */
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
        free: (store, chunkIndices) => this.#evictFrom(store, chunkIndices),
      });
      await this.#free.refresh();
    } catch (error) {
      this.#health.failed(error);
    }
  }

  async #evictFrom(store: ChunkStore, chunkIndices: Uint32Array): Promise<void> {
    const { readCount } = this.#free;
    const freedBytes = await store.evict(chunkIndices);
    // The store skips chunks in use.
    this.evictedChunks += Math.ceil(freedBytes / store.chunkBytes);
    this.evictedBytes += freedBytes;
    this.#yielded.freed(freedBytes);
    this.#free.freed(freedBytes, readCount);
  }

  /** Shrinks the cache when other programs fill the disk, though nothing is stored. */
  #watch(): void {
    this.#cancelWatch = this.#clock.after(watchMs, () => {
      this.#watch();
      void this.#free.refresh().then(() => {
        if (this.#excessBytes() > 0) return this.#evict();
        return undefined;
      });
    });
  }

  #fullMessage(): string {
    const free = formatSize(Math.max(0, this.#free.bytes));
    return `nothing more can be evicted: ${formatSize(this.usedBytes)} cached of ${formatSize(this.budgetBytes)}, ${free} free on the disk, which keeps ${formatSize(this.minFreeBytes)} free`;
  }
}

/** EBUSY concerns one chunk, and ERR_CLOSED one image; the disk is well. */
function isOfTheDisk(error: unknown): boolean {
  return !(error instanceof CopseError) && !['EBUSY', 'ERR_CLOSED'].includes(errorCode(error));
}
