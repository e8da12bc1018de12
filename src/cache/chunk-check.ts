/**
 * Checks stored chunks that date from before an unclean end, and drops those that are wrong or
 * can't be read.
 *
 * Invariants: a chunk is compared once, however many requests ask. A chunk counts as present only
 * after it has matched its checksum and, if there is one, the manifest.
 */
import { errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { ChunkState } from '../base/native/chunk.js';
import type { ChunkVerifier } from '../manifest/verifier.js';
import type { CacheMetrics } from './cache-metrics.js';
import type { ChunkStore } from './store/chunk-store.js';

export interface ChunkCheckOptions {
  /** Name of the image, for the log. */
  name: string;
  store: ChunkStore;
  /** Manifest that a chunk must match beyond its checksum. */
  verifier: ChunkVerifier | undefined;
  metrics: CacheMetrics;
  log: Logger;
}

export class ChunkCheck {
  readonly #options: ChunkCheckOptions;
  readonly #running = new Map<number, Promise<boolean>>();
  #isClosed = false;

  constructor(options: ChunkCheckOptions) {
    this.#options = options;
  }

  /** Resolves when no check is under way. A chunk that can't be read stays from now on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#running.values());
  }

  /**
   * Compares a stored chunk with its checksum and the manifest. Never rejects.
   *
   * @returns false if the chunk was wrong or could not be read; it was dropped if possible
   */
  verify(chunkIndex: number): Promise<boolean> {
    const running = this.#running.get(chunkIndex);
    if (running !== undefined) return running;
    const verified = this.#verify(chunkIndex).finally(() => this.#running.delete(chunkIndex));
    this.#running.set(chunkIndex, verified);
    return verified;
  }

  async #verify(chunkIndex: number): Promise<boolean> {
    const { store, metrics } = this.#options;
    try {
      const isRight = (await this.#matches(chunkIndex)) && (await store.verify(chunkIndex));
      if (!isRight) metrics.droppedChunks += 1;
      return isRight;
    } catch (error) {
      // EBUSY: another store replaces the chunk, so the one to verify is gone.
      if (errorCode(error) === 'EBUSY') return true;
      if (!this.#isClosed) await this.drop(chunkIndex, error);
      return false;
    }
  }

  /**
   * Compares a chunk with the manifest, before it counts as present. A chunk that differs is
   * dropped.
   */
  async #matches(chunkIndex: number): Promise<boolean> {
    const { store, verifier } = this.#options;
    if (verifier === undefined || store.state(chunkIndex) === ChunkState.zero) return true;
    if (verifier.matches(chunkIndex, await store.readRaw(chunkIndex))) return true;
    if (store.state(chunkIndex) === ChunkState.absent) return true;
    await store.evict(Uint32Array.of(chunkIndex));
    return false;
  }

  /**
   * Drops a chunk that can't be read. Never rejects: a disk that refuses the change keeps the
   * chunk.
   */
  async drop(chunkIndex: number, reason: unknown): Promise<void> {
    const { log, name, store, metrics } = this.#options;
    log.error(
      { reason: errorMessage(reason), image: name, chunkIndex },
      'a cached chunk can not be read: the cache drops it and fetches it again on demand',
    );
    metrics.droppedChunks += 1;
    try {
      await store.evict(Uint32Array.of(chunkIndex));
    } catch (error) {
      log.error({ reason: errorMessage(error), image: name, chunkIndex }, 'a cached chunk that can not be read can not be dropped either');
    }
  }
}
