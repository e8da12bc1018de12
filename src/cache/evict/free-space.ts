/**
 * Free bytes of the file system that holds the cache: read from the kernel now and then, and
 * corrected between two readings by what the cache stores and evicts.
 *
 * Invariant: one reading runs at a time. Callers that need a fresh one share it.
 */
import { statfs } from 'node:fs/promises';
import type { Clock } from '../../base/clock.js';

/** Age up to which a reading is good enough to store a chunk, in ms. */
const freeAgeMs = 1000;

export interface FreeSpaceOptions {
  /** Directory on the file system that holds the cache. */
  path: string;
  clock: Clock;
  /** Reads the free bytes of the file system; default statfs(2). */
  freeBytes?: (() => Promise<number>) | undefined;
  /** Called when a reading fails. */
  onFailure(error: unknown): void;
}

export class FreeSpace {
  readonly #clock: Clock;
  readonly #readFree: () => Promise<number>;
  readonly #onFailure: (error: unknown) => void;
  #freeBytes = Number.POSITIVE_INFINITY;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #readCount = 0;
  /**
   * Bytes that were stored since the start; the difference tells what was stored during a reading.
   */
  #writtenBytes = 0;
  #reading: Promise<void> | undefined;

  constructor(options: FreeSpaceOptions) {
    this.#clock = options.clock;
    this.#onFailure = options.onFailure;
    this.#readFree =
      options.freeBytes ??
      (async () => {
        const stat = await statfs(options.path);
        return stat.bavail * stat.bsize;
      });
  }

  /** Free bytes as of the last reading, corrected. */
  get bytes(): number {
    return this.#freeBytes;
  }

  /** True if the last reading is too old to store a chunk by. */
  get isStale(): boolean {
    return this.#clock.nowMs() - this.#readAtMs > freeAgeMs;
  }

  /** Number of readings that succeeded; pass it to `freed`. */
  get readCount(): number {
    return this.#readCount;
  }

  /** Counts bytes that the cache has stored. */
  written(bytes: number): void {
    this.#freeBytes -= bytes;
    this.#writtenBytes += bytes;
  }

  /** Counts bytes that an eviction has freed, unless a reading since its begin has seen them. */
  freed(bytes: number, readCount: number): void {
    if (readCount === this.#readCount) this.#freeBytes += bytes;
  }

  /** Reads anew, or joins the reading that runs. Never rejects. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const writtenBytes = this.#writtenBytes;
    try {
      // Bytes that were stored meanwhile may count twice: too little free is better than too much.
      this.#freeBytes = (await this.#readFree()) - (this.#writtenBytes - writtenBytes);
      this.#readCount += 1;
    } catch (error) {
      this.#onFailure(error);
    }
    this.#readAtMs = this.#clock.nowMs();
  }
}
