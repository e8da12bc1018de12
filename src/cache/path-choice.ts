/**
 * Decides on which of two paths an absent chunk is fetched, and fetches it there.
 *
 * The home path reads from the cache's own source (holders, then the origin). The guest path reads
 * from another source: the nodes that are home to the chunk. Only a cluster has a guest path.
 *
 *   request              chunk's home     path
 *   guest's, prefetch    another node     guest path
 *   guest's, prefetch    this node        home path
 *   home (a peer asks)   any              home path
 *   held (a peer asks)   any              none: joins a flight that is nearly here, or fails
 *
 * Invariant: a flight of the home path never waits for a flight of a guest path, here or at a peer.
 * A flight of the guest path may wait for one of the home path. So no cycle exists.
 */
import type { Budget } from '../base/budget.js';
import { CopseError } from '../base/error.js';
import { ChunkFetcher, type ChunkFetcherOptions } from './chunk-fetcher.js';
import type { ChunkSource } from './chunk-source.js';
import type { Operation } from './operation.js';
import type { PrefetchRange } from './readahead.js';
import type { Role } from './role.js';

/** Path to chunks whose home is another node. */
export interface GuestPath {
  source: ChunkSource;
  /**
   * Memory for its flights. It must not be the memory of the home path, because a flight of the
   * guest path waits for one of the home path when this node acts as home itself.
   */
  memory: Budget;
  /** True if this node is the chunk's home. Cheap; the answer may change at any time. */
  isHome(chunkIndex: number): boolean;
}

export interface PathChoiceOptions extends Omit<ChunkFetcherOptions, 'memory'> {
  /** Memory for the home path's flights for this host's guests, shared by all images. */
  memory: Budget;
  /** Memory for the home path's flights for peers' guests; `memory` if absent. */
  peerMemory?: Budget | undefined;
  guestPath?: GuestPath | undefined;
}

export class PathChoice {
  readonly #options: PathChoiceOptions;
  readonly #home: ChunkFetcher;
  readonly #guest: ChunkFetcher | undefined;

  constructor(options: PathChoiceOptions) {
    this.#options = options;
    const { memory, peerMemory = memory, guestPath } = options;
    this.#home = new ChunkFetcher({
      ...options,
      memory: { demand: memory, peer: peerMemory, background: memory, prefetch: memory },
    });
    if (guestPath === undefined) return;
    const { source, memory: shared } = guestPath;
    const guestMemory = { demand: shared, peer: shared, background: shared, prefetch: shared };
    this.#guest = new ChunkFetcher({ ...options, source, memory: guestMemory });
  }

  /** Fails the waiters of both paths; resolves when no fetch is under way. */
  async close(): Promise<void> {
    await Promise.allSettled([this.#guest?.close(), this.#home.close()]);
  }

  /**
   * Makes the operation wait for an absent chunk. Fails a `held` one whose chunk is not nearly
   * here.
   */
  join(operation: Operation, chunkIndex: number): void {
    const { role } = operation;
    if (role === 'held' && !this.#home.isNearlyHere(chunkIndex) && this.#guest?.isNearlyHere(chunkIndex) !== true) {
      operation.fail(new CopseError('ERR_NOT_HELD', `chunk ${chunkIndex} of ${this.#options.name} is not here`));
      return;
    }
    this.#pathFor(role, chunkIndex).join(operation, chunkIndex, operation.priority);
  }

  prefetch({ firstChunk, chunkCount }: PrefetchRange): void {
    const end = firstChunk + chunkCount;
    for (let chunk = firstChunk; chunk < end; chunk += 1) this.#pathOfGuest(chunk).prefetch(chunk);
  }

  #pathFor(role: Role, chunkIndex: number): ChunkFetcher {
    if (role === 'guest') return this.#pathOfGuest(chunkIndex);
    return role === 'held' && !this.#home.isNearlyHere(chunkIndex) ? (this.#guest ?? this.#home) : this.#home;
  }

  #pathOfGuest(chunkIndex: number): ChunkFetcher {
    const { guestPath } = this.#options;
    return guestPath === undefined || this.#guest === undefined || guestPath.isHome(chunkIndex) ? this.#home : this.#guest;
  }
}
