/**
 * The cache of one image. It reads a chunk that this host has from its disk. It fetches an absent
 * chunk once for all requests, answers them from memory as the bytes arrive, and stores the chunk.
 *
 * Each chunk goes by its state in the store:
 *
 *   present, zero   read from the store; one that is evicted meanwhile goes by its new state
 *   unverified      `ChunkCheck` compares it: a right chunk becomes present, a wrong one absent
 *   absent          `PathChoice` makes the request join the chunk's flight, or begin one
 *
 * Invariant: a fault of this host's disk fails no read that the source can answer. A chunk that the
 * disk does not return is fetched in any state.
 */

import type { Clock } from '../base/clock.js';
import { AbortedError, ClosedError } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { ChunkState, type NativeChunkFile } from '../base/native/chunk.js';
import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import type { RequestOptions } from '../block/read-options.js';
import type { PlacedSink } from '../block/sink.js';
import type { ChunkVerifier } from '../manifest/verifier.js';
import { CacheMetrics } from './cache-metrics.js';
import { ChunkCheck } from './chunk-check.js';
import { cachedExtents, zeroExtents } from './chunk-extent.js';
import { TouchedChunks } from './evict/touched.js';
import type { FlightPriority } from './flight.js';
import { type Operation, ReadOperation, StoreOperation, StreamOperation } from './operation.js';
import { PathChoice, type PathChoiceOptions } from './path-choice.js';
import { type PrefetchRange, Readahead } from './readahead.js';
import type { Role } from './role.js';
import type { ChunkStore } from './store/chunk-store.js';

/**
 * Priority of a request by role. A held request has the lowest: it may hurry nothing and read
 * nothing ahead.
 */
const priorityOf: Record<Role, FlightPriority> = { guest: 'demand', home: 'peer', held: 'prefetch' };

export interface CacheRequestOptions extends RequestOptions {
  /** Role of the requester; default `guest`. */
  role?: Role | undefined;
  /** True if no client waits for the bytes; the request goes behind all others. */
  background?: boolean | undefined;
}

export interface ChunkCacheOptions extends Omit<PathChoiceOptions, 'metrics'> {
  /** Manifest that an unverified chunk must match beyond its checksum. */
  verifier?: ChunkVerifier | undefined;
  /** Bound on the bytes that are prefetched ahead of a sequential reader; 0 turns readahead off. */
  readaheadBytes: number;
  /** Deadline of requests that bring none, in ms; 0, the default, means none. */
  deadlineMs?: number | undefined;
  /** Returns the present fault of the source, if any: the cause that a missed deadline names. */
  trouble?: (() => string | undefined) | undefined;
  clock: Clock;
  log: Logger;
}

/** Uses a run of chunks that the store has. */
type UseStored = (first: number, last: number) => void;

export class ChunkCache {
  readonly metrics = new CacheMetrics();
  /** Chunks that this host's guests have touched. */
  readonly touched: TouchedChunks;
  readonly #options: ChunkCacheOptions;
  readonly #store: ChunkStore;
  readonly #chunkBytes: number;
  readonly #paths: PathChoice;
  readonly #check: ChunkCheck;
  readonly #readahead: Readahead;
  #closed = false;

  constructor(options: ChunkCacheOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#chunkBytes = options.store.chunkBytes;
    this.touched = new TouchedChunks(options.store);
    this.#readahead = new Readahead({
      chunkCount: options.store.chunkCount,
      maxWindowChunks: Math.floor(options.readaheadBytes / this.#chunkBytes),
      // A native lane answers hits without this class, which would otherwise end the stream.
      onMarkChange: (chunkIndex, marked) => this.#store.setMark(chunkIndex, marked),
    });
    const { metrics } = this;
    this.#paths = new PathChoice({ ...options, metrics });
    this.#check = new ChunkCheck({ name: options.name, store: options.store, verifier: options.verifier, metrics, log: options.log });
  }

  get store(): ChunkStore {
    return this.#store;
  }

  /** File of stored chunks, for native threads to read; `undefined` from `close` on. */
  get file(): NativeChunkFile | undefined {
    return this.#closed ? undefined : this.#store.file;
  }

  /** Reads a hit at once; see `BlockDevice.readNow`. */
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

  /**
   * Fills `target` from `offset`; see `BlockDevice.read`.
   *
   * @throws `ERR_DEADLINE`, `ERR_ABORTED`, the source's errors; `ERR_NOT_HELD` in the role `held`
   */
  read(target: Buffer, offset: number, options: CacheRequestOptions = {}): Promise<Place> {
    const operation = new ReadOperation(this.#operationOptions('read', offset, options), target, offset, this.#chunkBytes);
    this.#run(operation, offset, target.length, (first, last) => this.#readStored(operation, first, last));
    return operation.done;
  }

  /**
   * Passes absent chunks of the range on as they arrive, straight from the memory of their flights.
   * Resolves to the bytes that the sink has got: a prefix, which ends before the first chunk that
   * the store had, or that arrived out of order.
   *
   * @throws as `read`; the sink's errors
   */
  async stream(offset: number, lengthBytes: number, sink: PlacedSink, options: CacheRequestOptions = {}): Promise<number> {
    const operation = new StreamOperation(this.#operationOptions('read', offset, options), sink, offset, lengthBytes, this.#chunkBytes);
    this.#run(operation, offset, lengthBytes, () => {});
    await operation.done;
    return operation.passedBytes;
  }

  /**
   * Resolves when the range is on this host's disk.
   *
   * @throws as `read`; `ERR_CACHE_FULL` or `ERR_CACHE_BROKEN` when the cache can't store the range
   */
  ensure(offset: number, lengthBytes: number, options: CacheRequestOptions = {}): Promise<Place> {
    const operation = new StoreOperation(this.#operationOptions('fetch', offset, options));
    this.#run(operation, offset, lengthBytes, () => {});
    return operation.done;
  }

  /** See `BlockDevice.extents`. A chunk that is not known to be zeros counts as data. */
  extents(offset: number, lengthBytes: number, maxCount: number): Extent[] {
    return zeroExtents(this.#store, offset, lengthBytes, maxCount);
  }

  /** Compares a stored chunk with its checksum and the manifest; see `ChunkCheck.verify`. */
  verify(chunkIndex: number): Promise<boolean> {
    return this.#check.verify(chunkIndex);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return cachedExtents(this.#store, offset, lengthBytes, maxCount);
  }

  /** Fails requests that wait, awaits those that run, and closes the store. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#paths.close(), this.#check.close()]);
    this.#options.space.remove(this.#store);
    await this.#store.close();
  }

  #operationOptions(verb: string, offset: number, options: CacheRequestOptions) {
    const { name, clock, trouble } = this.#options;
    const { signal, deadlineMs = this.#options.deadlineMs ?? 0, role = 'guest', background = false } = options;
    const priority = background && role !== 'held' ? 'background' : priorityOf[role];
    return { what: `${verb} of ${name} at byte ${offset}`, deadlineMs, signal, clock, trouble, role, priority };
  }

  /** Sends every chunk of the range its way. Calls `useStored` with each run of stored chunks. */
  #run(operation: Operation, offset: number, lengthBytes: number, useStored: UseStored): void {
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
        for (let at = chunk; at < end; at += 1) this.#paths.join(operation, at);
      }
      chunk = end;
    }
    // A peer that reads for its guests does its own readahead.
    if (operation.priority === 'demand') {
      this.touched.mark(first, last);
      if (this.#readahead.isMarked(first, last)) this.#prefetch(this.#readahead.onMark(first, last));
      else if (missed) this.#prefetch(this.#readahead.onMiss(first, last));
    }
    operation.end();
  }

  #prefetch(range: PrefetchRange | undefined): void {
    if (range !== undefined) this.#paths.prefetch(range);
  }

  /** Sends one chunk its way again, after it vanished or was verified. */
  #again(operation: Operation, chunkIndex: number, useStored: UseStored): void {
    if (operation.isOver || this.#closed) {
      operation.fail(new AbortedError(`request to ${this.#options.name}`));
      return;
    }
    const state = this.#store.state(chunkIndex);
    if (state === ChunkState.absent) this.#paths.join(operation, chunkIndex);
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
          // Of several chunks one may be bad: they are read one by one.
          if (first < last) for (let chunk = first; chunk <= last; chunk += 1) this.#again(operation, chunk, readAgain);
          else await this.#replace(operation, first, error);
        },
      )
      .then(
        () => operation.end(),
        (error: unknown) => operation.end(error),
      );
  }

  /** Fetches a chunk that the disk does not return, and drops it where that is possible. */
  async #replace(operation: Operation, chunkIndex: number, error: unknown): Promise<void> {
    if (!this.#closed) await this.#check.drop(chunkIndex, error);
    if (operation.isOver || this.#closed) operation.fail(new ClosedError(this.#options.name));
    else this.#paths.join(operation, chunkIndex);
  }

  #verifyThen(operation: Operation, chunkIndex: number, useStored: UseStored): void {
    operation.begin();
    this.#check.verify(chunkIndex).then(
      (isRight) => {
        const stillThere = !operation.isOver && !this.#closed && this.#store.state(chunkIndex) === ChunkState.unverified;
        // A disk that neither verifies nor drops the chunk is not asked again.
        if (!isRight && stillThere) this.#paths.join(operation, chunkIndex);
        else this.#again(operation, chunkIndex, useStored);
        operation.end();
      },
      (error: unknown) => operation.end(error),
    );
  }
}
