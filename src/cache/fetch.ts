/**
 * One request to the source for a run of chunks. It divides the bytes into chunks, answers waiters
 * as chunks arrive, and has each chunk stored.
 *
 * It ends when the request has ended and every chunk is stored or given up. Waiters are answered
 * from memory, before the disk has the chunk.
 */

import { CopseError } from '../base/error.js';
import type { Place } from '../block/place.js';
import type { BufferPool } from './buffer-pool.js';
import type { CacheMetrics } from './cache-metrics.js';
import type { ChunkSource } from './chunk-source.js';
import type { Run } from './fetch-queue.js';
import type { Flight } from './flight.js';
import type { ChunkStore } from './store/chunk-store.js';

export interface FetchOptions {
  run: Run;
  source: ChunkSource;
  store: ChunkStore;
  pool: BufferPool;
  metrics: CacheMetrics;
  signal: AbortSignal;
  /** Stores a chunk that arrived. Rejects if it can't be stored. */
  keep(flight: Flight): Promise<void>;
  /** Takes the chunk out of the single flight. */
  finish(flight: Flight): void;
  /** Fetches a chunk again as demand, after a prefetch of it failed while a guest waits. */
  askAgain(flight: Flight): void;
}

export class Fetch {
  readonly #options: FetchOptions;
  readonly #flights: Flight[];
  /** Flight that is being filled, and its filled bytes. */
  #position = 0;
  #filledBytes = 0;
  readonly #kept: Promise<void>[] = [];

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#flights = options.run.flights;
  }

  async run(): Promise<void> {
    const { source, store, metrics, signal, run } = this.#options;
    const first = this.#flights[0];
    const last = this.#flights.at(-1);
    if (first === undefined || last === undefined) return;
    const offset = first.chunkIndex * store.chunkBytes;
    const lengthBytes = last.chunkIndex * store.chunkBytes + store.lengthOf(last.chunkIndex) - offset;
    metrics.fetches += 1;
    if (run.priority === 'prefetch') metrics.prefetchedChunks += this.#flights.length;
    try {
      await source.read(
        offset,
        lengthBytes,
        { data: (piece) => this.#onData(piece), zeroes: (count) => this.#onZeroes(count), from: (place) => this.#onPlace(place) },
        { signal, priority: run.priority === 'peer' ? 'demand' : run.priority },
      );
      if (this.#position < this.#flights.length)
        throw new CopseError('ERR_SHORT_READ', `the source ended ${this.#flights.length - this.#position} chunks early`);
    } catch (error) {
      metrics.failedFetches += 1;
      const abandoned = this.#flights.slice(this.#position);
      // Bytes that the source sends from here on are too late.
      this.#position = this.#flights.length;
      for (const flight of abandoned) {
        // A prefetch gets one attempt. A guest's chunk gets as many as its deadline allows.
        if (run.priority === 'prefetch' && flight.waiters.size > 0 && !signal.aborted) this.#askAgain(flight);
        else this.#abandon(flight, error);
      }
    }
    await Promise.all(this.#kept);
  }

  #onPlace(place: Place): void {
    for (const flight of this.#flights.slice(this.#position)) flight.place = place;
  }

  #onData(piece: Buffer): void {
    this.#options.metrics.fetchedBytes += piece.length;
    for (let start = 0; start < piece.length; ) {
      const flight = this.#current();
      flight.buffer ??= this.#zeroFilledSoFar();
      const count = Math.min(piece.length - start, this.#lengthOf(flight) - this.#filledBytes);
      piece.copy(flight.buffer, this.#filledBytes, start, start + count);
      start += count;
      this.#advance(flight, count);
    }
  }

  #onZeroes(lengthBytes: number): void {
    this.#options.metrics.zeroBytes += lengthBytes;
    for (let left = lengthBytes; left > 0; ) {
      const flight = this.#current();
      const count = Math.min(left, this.#lengthOf(flight) - this.#filledBytes);
      flight.buffer?.fill(0, this.#filledBytes, this.#filledBytes + count);
      left -= count;
      this.#advance(flight, count);
    }
  }

  #zeroFilledSoFar(): Buffer {
    const buffer = this.#options.pool.take();
    buffer.fill(0, 0, this.#filledBytes);
    return buffer;
  }

  #current(): Flight {
    const flight = this.#flights[this.#position];
    if (flight === undefined) throw new CopseError('ERR_LONG_READ', 'the source sent more than it was asked for');
    return flight;
  }

  #lengthOf(flight: Flight): number {
    return this.#options.store.lengthOf(flight.chunkIndex);
  }

  #advance(flight: Flight, count: number): void {
    this.#filledBytes += count;
    if (this.#filledBytes < this.#lengthOf(flight)) {
      flight.deliverSoFar(this.#filledBytes);
      return;
    }
    this.#position += 1;
    this.#filledBytes = 0;
    if (flight.place === 'peer') this.#options.metrics.peerChunks += 1;
    flight.deliver();
    this.#kept.push(this.#keep(flight));
  }

  async #keep(flight: Flight): Promise<void> {
    let failure: unknown;
    try {
      await this.#options.keep(flight);
    } catch (error) {
      failure = error;
      this.#options.metrics.unstoredChunks += 1;
    }
    this.#options.finish(flight);
    // A waiter that joined after the arrival needs bytes, and gets them even if the disk fails.
    flight.deliver();
    flight.settle(failure);
    this.#recycle(flight);
  }

  #askAgain(flight: Flight): void {
    this.#recycle(flight);
    flight.filledBytes = 0;
    this.#options.askAgain(flight);
  }

  #abandon(flight: Flight, error: unknown): void {
    this.#options.finish(flight);
    flight.settle(error);
    this.#recycle(flight);
  }

  #recycle(flight: Flight): void {
    if (flight.buffer !== undefined) this.#options.pool.give(flight.buffer);
    flight.buffer = undefined;
  }
}
