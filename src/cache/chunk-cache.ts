/**
 * The cache of one image: a chunk that this host has is read from its disk, one that it has not is fetched once however many ask, answered from
 * memory as it arrives, and kept.
 *
 * Chunk by chunk, from the state in the store:
 *   present, zero   read from the store; should the chunk vanish meanwhile (evicted), it is looked at again
 *   unverified      compared with its checksum first: present if it matches, else dropped and fetched
 *   absent          joins the chunk's flight, or begins one
 *
 * In a cluster there are two lanes over the one store. Absent chunks whose home is another node come from elsewhere; those that this node is the home of, and all that
 * peers ask it for as a home, come from its own source. A flight in the own lane never waits for one elsewhere, here or at a peer: so there are no cycles.
 *
 * No trouble with this host's disk fails a read that the source could answer: a chunk that the disk does not give back is fetched, whatever its state says.
 */

import type { Budget } from '../base/budget.js';
import type { Clock } from '../base/clock.js';
import { AbortedError, ClosedError, CopseError, errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { ChunkState, type NativeChunkFile } from '../base/native.js';
import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import type { RequestOptions } from '../block/read-options.js';
import type { ChunkVerifier } from '../manifest/verifier.js';
import { CacheMetrics } from './cache-metrics.js';
import { cachedExtents, zeroExtents } from './chunk-extent.js';
import { ChunkFetcher, type ChunkFetcherOptions } from './chunk-fetcher.js';
import type { ChunkSource } from './chunk-source.js';
import { TouchedChunks } from './evict/touched.js';
import type { FlightPriority } from './flight.js';
import { type Operation, ReadOperation, StoreOperation } from './operation.js';
import { type PrefetchRange, Readahead } from './readahead.js';
import type { Role } from './role.js';
import type { ChunkStore } from './store/chunk-store.js';

/** Where chunks come from whose home is another node. */
export interface Elsewhere {
  source: ChunkSource;
  /** Another one than the cache's own: what is under way there may have to wait for what is under way here, when no peer is left. */
  memory: Budget;
  /** Whether the cache's own source is asked for the chunk: this node is its home. Cheap, and may change at any time. */
  isHome(chunkIndex: number): boolean;
}

/** Who asks what is held hurries nothing and reads nothing ahead: it must cause no other request. */
const priorityOf: Record<Role, FlightPriority> = { guest: 'demand', home: 'peer', held: 'prefetch' };

export interface CacheRequestOptions extends RequestOptions {
  /** Default `guest`. */
  role?: Role | undefined;
  /** Not for somebody who waits, but to have it here: goes behind all others. */
  background?: boolean | undefined;
}

export interface ChunkCacheOptions extends Omit<ChunkFetcherOptions, 'metrics' | 'memory'> {
  /** For chunks on their way from the source, for this host's guests. Shared by all images. */
  memory: Budget;
  /** The same for peers' guests; `memory` when absent. */
  peerMemory?: Budget | undefined;
  elsewhere?: Elsewhere | undefined;
  /** What a chunk from before an unclean end must match, beyond its checksum. */
  verifier?: ChunkVerifier | undefined;
  /** The most bytes that are prefetched ahead of a sequential reader; 0 turns readahead off. */
  readaheadBytes: number;
  /** Deadline of requests that bring none of their own; 0, the default, waits for ever. */
  deadlineMs?: number | undefined;
  /** What is wrong with the source just now: the cause that a missed deadline names. */
  trouble?: (() => string | undefined) | undefined;
  clock: Clock;
  log: Logger;
}

export class ChunkCache {
  readonly metrics = new CacheMetrics();
  /** By this host's guests. */
  readonly touched: TouchedChunks;
  readonly #options: ChunkCacheOptions;
  readonly #store: ChunkStore;
  readonly #chunkBytes: number;
  /** The own lane, and the other one. */
  readonly #own: ChunkFetcher;
  readonly #elsewhere: ChunkFetcher | undefined;
  readonly #readahead: Readahead;
  readonly #verifying = new Map<number, Promise<boolean>>();
  #closed = false;

  constructor(options: ChunkCacheOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#chunkBytes = options.store.chunkBytes;
    this.touched = new TouchedChunks(options.store);
    this.#readahead = new Readahead({
      chunkCount: options.store.chunkCount,
      maxWindowChunks: Math.floor(options.readaheadBytes / this.#chunkBytes),
      // A hit that is answered past this side would otherwise end the stream.
      onMarkChange: (chunkIndex, marked) => this.#store.setMark(chunkIndex, marked),
    });
    const { metrics } = this;
    const { memory, peerMemory = memory, elsewhere } = options;
    this.#own = new ChunkFetcher({
      ...options,
      metrics,
      memory: { demand: memory, peer: peerMemory, background: memory, prefetch: memory },
    });
    if (elsewhere !== undefined) {
      const { source, memory: shared } = elsewhere;
      const ofOthers = { demand: shared, peer: shared, background: shared, prefetch: shared };
      this.#elsewhere = new ChunkFetcher({ ...options, source, metrics, memory: ofOthers });
    }
  }

  get store(): ChunkStore {
    return this.#store;
  }

  /** The chunks that are here, for native threads to read; `undefined` from `close` on. */
  get file(): NativeChunkFile | undefined {
    return this.#closed ? undefined : this.#store.file;
  }

  /** The hit path; see `BlockDevice.readNow`. */
  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (this.#closed || !this.#store.readNow(target, targetStart, lengthBytes, offset, true)) return false;
    const first = Math.floor(offset / this.#chunkBytes);
    const last = Math.floor((offset + lengthBytes - 1) / this.#chunkBytes);
    if (this.#readahead.isMarked(first, last)) this.#prefetch(this.#readahead.onMark(first, last));
    return true;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return !this.#closed && this.#store.isZero(offset, lengthBytes);
  }

  /** Fills `target` from `offset`; see `BlockDevice.read`. Errors: `ERR_DEADLINE`, `ERR_ABORTED`, those of the source; `ERR_NOT_HELD` for what is asked as held and is not. */
  read(target: Buffer, offset: number, options: CacheRequestOptions = {}): Promise<Place> {
    const operation = new ReadOperation(this.#operationOptions('read', offset, options), target, offset, this.#chunkBytes);
    this.#run(operation, offset, target.length, (first, last) => this.#readStored(operation, first, last));
    return operation.done;
  }

  /** Resolves when the range is on this host's disk. Codes `ERR_CACHE_FULL` and `ERR_CACHE_BROKEN` when it can't be kept. */
  ensure(offset: number, lengthBytes: number, options: CacheRequestOptions = {}): Promise<Place> {
    const operation = new StoreOperation(this.#operationOptions('fetch', offset, options));
    this.#run(operation, offset, lengthBytes, () => {});
    return operation.done;
  }

  /** See `BlockDevice.extents`: what is not known to be zeros counts as data. */
  extents(offset: number, lengthBytes: number, maxCount: number): Extent[] {
    return zeroExtents(this.#store, offset, lengthBytes, maxCount);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return cachedExtents(this.#store, offset, lengthBytes, maxCount);
  }

  /** Fails what waits, lets what runs end, and closes the store. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([this.#elsewhere?.close(), this.#own.close(), ...this.#verifying.values()]);
    this.#options.space.remove(this.#store);
    await this.#store.close();
  }

  #operationOptions(verb: string, offset: number, options: CacheRequestOptions) {
    const { name, clock, trouble } = this.#options;
    const { signal, deadlineMs = this.#options.deadlineMs ?? 0, role = 'guest', background = false } = options;
    const priority = background && role !== 'held' ? 'background' : priorityOf[role];
    return { what: `${verb} of ${name} at byte ${offset}`, deadlineMs, signal, clock, trouble, role, priority };
  }

  /** Sends every chunk of the range its way; `useStored` is called for each run of chunks that the store has. */
  #run(operation: Operation, offset: number, lengthBytes: number, useStored: (first: number, last: number) => void): void {
    if (this.#closed) {
      operation.end(new ClosedError(this.#options.name));
      return;
    }
    const first = Math.floor(offset / this.#chunkBytes);
    const last = Math.floor((offset + lengthBytes - 1) / this.#chunkBytes);
    const runs = this.#store.runs(first, last - first + 1, last - first + 1);
    let chunk = first;
    let missed = false;
    for (let index = 0; index + 1 < runs.length; index += 2) {
      const end = chunk + (runs[index + 1] ?? 0);
      const state = runs[index];
      if (state === ChunkState.present || state === ChunkState.zero) {
        useStored(chunk, end - 1);
      } else if (state === ChunkState.unverified) {
        for (let at = chunk; at < end; at += 1) this.#verifyThen(operation, at, useStored);
      } else {
        missed = true;
        for (let at = chunk; at < end; at += 1) this.#missed(operation, at);
      }
      chunk = end;
    }
    // Who reads on behalf of its guests reads ahead itself.
    if (operation.priority === 'demand') {
      this.touched.mark(first, last);
      if (this.#readahead.isMarked(first, last)) this.#prefetch(this.#readahead.onMark(first, last));
      else if (missed) this.#prefetch(this.#readahead.onMiss(first, last));
    }
    operation.end();
  }

  /** Has a chunk that is not here fetched by who is to be asked for it. */
  #missed(operation: Operation, chunkIndex: number): void {
    if (operation.role === 'held' && !this.#own.isNearlyHere(chunkIndex) && this.#elsewhere?.isNearlyHere(chunkIndex) !== true) {
      operation.fail(new CopseError('ERR_NOT_HELD', `chunk ${chunkIndex} of ${this.#options.name} is not here`));
      return;
    }
    const lane = this.#laneFor(operation.role, chunkIndex);
    lane.join(operation, chunkIndex, operation.priority);
  }

  #laneFor(role: Role, chunkIndex: number): ChunkFetcher {
    if (role === 'guest') return this.#laneOf(chunkIndex);
    return role === 'held' && !this.#own.isNearlyHere(chunkIndex) ? (this.#elsewhere ?? this.#own) : this.#own;
  }

  #laneOf(chunkIndex: number): ChunkFetcher {
    const { elsewhere } = this.#options;
    return elsewhere === undefined || this.#elsewhere === undefined || elsewhere.isHome(chunkIndex) ? this.#own : this.#elsewhere;
  }

  #prefetch(range: PrefetchRange | undefined): void {
    if (range === undefined) return;
    const end = range.firstChunk + range.chunkCount;
    for (let chunk = range.firstChunk; chunk < end; chunk += 1) this.#laneOf(chunk).prefetch(chunk);
  }

  /** Looks at one chunk anew: it vanished, or has been verified. */
  #again(operation: Operation, chunkIndex: number, useStored: (first: number, last: number) => void): void {
    if (operation.isOver || this.#closed) {
      operation.fail(new AbortedError(`request to ${this.#options.name}`));
      return;
    }
    const state = this.#store.state(chunkIndex);
    if (state === ChunkState.absent) this.#missed(operation, chunkIndex);
    else if (state === ChunkState.unverified) this.#verifyThen(operation, chunkIndex, useStored);
    else useStored(chunkIndex, chunkIndex);
  }

  #readStored(operation: ReadOperation, first: number, last: number): void {
    const { target, offset } = operation;
    const from = Math.max(offset, first * this.#chunkBytes);
    const to = Math.min(offset + target.length, (last + 1) * this.#chunkBytes);
    const readAgain = (from: number, to: number): void => this.#readStored(operation, from, to);
    operation.begin();
    this.#store
      .read(target, from - offset, to - from, from)
      .then(
        (complete) => {
          if (complete) return;
          for (let chunk = first; chunk <= last; chunk += 1) this.#again(operation, chunk, readAgain);
        },
        async (error: unknown) => {
          // Of several chunks, one by one: the others are well, perhaps.
          if (first < last) for (let chunk = first; chunk <= last; chunk += 1) this.#again(operation, chunk, readAgain);
          else await this.#replace(operation, first, error);
        },
      )
      .then(
        () => operation.end(),
        (error: unknown) => operation.end(error),
      );
  }

  /** The disk does not give a chunk back: it is dropped as far as that goes, and fetched in any case. */
  async #replace(operation: Operation, chunkIndex: number, error: unknown): Promise<void> {
    if (!this.#closed) await this.#drop(chunkIndex, error);
    if (operation.isOver || this.#closed) operation.fail(new ClosedError(this.#options.name));
    else this.#missed(operation, chunkIndex);
  }

  #verifyThen(operation: Operation, chunkIndex: number, useStored: (first: number, last: number) => void): void {
    operation.begin();
    this.verify(chunkIndex).then(
      (right) => {
        const stillThere = !operation.isOver && !this.#closed && this.#store.state(chunkIndex) === ChunkState.unverified;
        // Neither verified nor dropped: a disk that does neither is not asked again.
        if (!right && stillThere) this.#missed(operation, chunkIndex);
        else this.#again(operation, chunkIndex, useStored);
        operation.end();
      },
      (error: unknown) => operation.end(error),
    );
  }

  /** Compares a stored chunk with its checksum, once however many ask. `false`: it was wrong, or could not be read, and was dropped. Never rejects. */
  verify(chunkIndex: number): Promise<boolean> {
    const running = this.#verifying.get(chunkIndex);
    if (running !== undefined) return running;
    const verified = this.#verify(chunkIndex).finally(() => this.#verifying.delete(chunkIndex));
    this.#verifying.set(chunkIndex, verified);
    return verified;
  }

  async #verify(chunkIndex: number): Promise<boolean> {
    try {
      const right = (await this.#matches(chunkIndex)) && (await this.#store.verify(chunkIndex));
      if (!right) this.metrics.droppedChunks += 1;
      return right;
    } catch (error) {
      // EBUSY: it is being stored, so it is not what was to be verified any more.
      if (errorCode(error) === 'EBUSY') return true;
      if (!this.#closed) await this.#drop(chunkIndex, error);
      return false;
    }
  }

  /** Whether the manifest, if there is one, knows the bytes; those that it does not are dropped. Before the chunk counts as present, so that nobody is served it. */
  async #matches(chunkIndex: number): Promise<boolean> {
    const { verifier } = this.#options;
    if (verifier === undefined || this.#store.state(chunkIndex) === ChunkState.zero) return true;
    if (verifier.matches(chunkIndex, await this.#store.readRaw(chunkIndex))) return true;
    if (this.#store.state(chunkIndex) === ChunkState.absent) return true;
    await this.#store.evict(Uint32Array.of(chunkIndex));
    return false;
  }

  /** Frees a chunk that can't be read. Does not reject: a disk that can't be written either keeps it. */
  async #drop(chunkIndex: number, reason: unknown): Promise<void> {
    const { log, name } = this.#options;
    log.error(
      { reason: errorMessage(reason), image: name, chunkIndex },
      'a cached chunk can not be read: it is fetched again when it is needed',
    );
    this.metrics.droppedChunks += 1;
    try {
      await this.#store.evict(Uint32Array.of(chunkIndex));
    } catch (error) {
      log.error({ reason: errorMessage(error), image: name, chunkIndex }, 'a cached chunk that can not be read can not be dropped either');
    }
  }
}
