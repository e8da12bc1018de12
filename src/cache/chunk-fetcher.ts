/**
 * Fetches absent chunks: each once for all its waiters (single flight), in runs, demand before
 * prefetch.
 *
 * A flight begins with its first waiter, answers waiters from memory as the bytes arrive, and ends
 * when the chunk is stored or given up. A chunk without waiters is not fetched.
 */
import { ClosedError } from '../base/error.js';
import { ChunkState } from '../base/native/chunk.js';
import type { BufferPool, BufferPools } from './buffer-pool.js';
import type { CacheMetrics } from './cache-metrics.js';
import type { ChunkSource } from './chunk-source.js';
import type { CacheSpace } from './evict/cache-space.js';
import { Fetch } from './fetch.js';
import { type FetchLimits, type FetchMemory, FetchQueue, type Run } from './fetch-queue.js';
import { Flight, type FlightPriority } from './flight.js';
import type { FlightOwner, Operation } from './operation.js';
import type { ChunkStore } from './store/chunk-store.js';

export interface ChunkFetcherOptions {
  /** Name of the image, for errors and logs. */
  name: string;
  store: ChunkStore;
  source: ChunkSource;
  space: CacheSpace;
  /** Bounds on the memory for chunks that are being fetched, shared by all images. */
  memory: FetchMemory;
  /** Pools of buffers for that memory. */
  buffers: BufferPools;
  limits: FetchLimits;
  metrics: CacheMetrics;
}

export class ChunkFetcher implements FlightOwner {
  readonly #options: ChunkFetcherOptions;
  readonly #store: ChunkStore;
  readonly #pool: BufferPool;
  readonly #queue: FetchQueue;
  readonly #flights = new Map<number, Flight>();
  /** Fetch of each flight, which is aborted when no chunk of it has waiters. */
  readonly #fetches = new Map<Flight, { run: Run; abort: AbortController }>();
  readonly #running = new Set<Promise<void>>();
  #closed = false;

  constructor(options: ChunkFetcherOptions) {
    this.#options = options;
    this.#store = options.store;
    const { chunkBytes } = options.store;
    this.#pool = options.buffers.of(chunkBytes);
    this.#queue = new FetchQueue({
      limits: options.limits,
      chunkBytes,
      memory: options.memory,
      fetch: (run) => this.#fetch(run),
      drop: (flight) => this.#forget(flight),
    });
  }

  /** Fails the waiters; resolves when no fetch is under way any more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { abort } of new Set(this.#fetches.values())) abort.abort();
    // These flights still wait for their turn, or for memory.
    for (const flight of [...this.#flights.values()]) {
      if (this.#fetches.has(flight)) continue;
      this.#queue.remove(flight);
      this.#forget(flight);
      flight.settle(new ClosedError(this.#options.name));
    }
    await Promise.allSettled([...this.#running]);
  }

  /** Makes the operation wait for an absent chunk: it joins the chunk's flight, or begins one. */
  join(operation: Operation, chunkIndex: number, priority: FlightPriority): void {
    if (operation.isOver) return;
    let flight = this.#flights.get(chunkIndex);
    this.#options.metrics.missedChunks += 1;
    if (flight === undefined) {
      flight = new Flight(chunkIndex, priority);
      this.#flights.set(chunkIndex, flight);
      this.#queue.add(flight);
    } else if (flight.has(operation)) {
      operation.begin();
      operation.arrived(chunkIndex, flight.buffer, flight.place ?? 'origin');
      return;
    } else {
      const promoted = this.#queue.promote(flight, priority);
      if (promoted && flight.state === 'fetching') {
        this.#options.source.promote?.(chunkIndex * this.#store.chunkBytes, this.#store.lengthOf(chunkIndex));
      }
    }
    operation.join(flight, this);
  }

  /** Fetches a chunk ahead of demand, if it is absent and there is room for it. */
  prefetch(chunkIndex: number): void {
    // A prefetched chunk that can't be stored would be fetched twice.
    if (this.#options.space.state !== 'ok' || this.#flights.has(chunkIndex) || this.#store.state(chunkIndex) !== ChunkState.absent) return;
    const flight = new Flight(chunkIndex, 'prefetch');
    this.#flights.set(chunkIndex, flight);
    this.#queue.add(flight);
  }

  /**
   * Returns true if the chunk is in memory, or comes from the origin itself. A waiter for it then
   * waits for no other node.
   */
  isNearlyHere(chunkIndex: number): boolean {
    const flight = this.#flights.get(chunkIndex);
    return flight?.state === 'arrived' || (flight?.state === 'fetching' && flight.place === 'origin');
  }

  /** A waiter has left. A chunk without waiters is not fetched, unless readahead asked for it. */
  leave(flight: Flight, waiter: Operation): void {
    flight.waiters.delete(waiter);
    if (flight.waiters.size > 0 || flight.priority === 'prefetch') return;
    if (flight.state === 'queued') {
      this.#queue.remove(flight);
      this.#forget(flight);
      return;
    }
    const fetch = this.#fetches.get(flight);
    if (fetch === undefined || fetch.run.priority === 'prefetch') return;
    if (fetch.run.flights.some((other) => other.waiters.size > 0)) return;
    // A request from here on begins a new flight, because this fetch is being given up.
    for (const other of fetch.run.flights) if (other.state === 'fetching') this.#forget(other);
    fetch.abort.abort();
  }

  /** Ends the single flight: the next request for the chunk begins a new one. */
  #forget(flight: Flight): void {
    if (this.#flights.get(flight.chunkIndex) === flight) this.#flights.delete(flight.chunkIndex);
  }

  #fetch(run: Run): Promise<void> {
    // All waiters may have left between the choice of the run and its memory.
    if (this.#closed || (run.priority !== 'prefetch' && run.flights.every((flight) => flight.waiters.size === 0))) {
      for (const flight of run.flights) this.#forget(flight);
      return Promise.resolve();
    }
    const abort = new AbortController();
    for (const flight of run.flights) this.#fetches.set(flight, { run, abort });
    const fetch = new Fetch({
      run,
      source: this.#options.source,
      store: this.#store,
      pool: this.#pool,
      metrics: this.#options.metrics,
      signal: abort.signal,
      keep: (flight) => this.#keep(flight),
      finish: (flight) => {
        this.#fetches.delete(flight);
        this.#forget(flight);
      },
      askAgain: (flight) => {
        this.#fetches.delete(flight);
        flight.priority = 'demand';
        flight.state = 'queued';
        this.#queue.add(flight);
      },
    });
    const running = fetch.run().finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  async #keep(flight: Flight): Promise<void> {
    const { buffer, chunkIndex } = flight;
    // Both paths may have fetched the chunk at once.
    if (this.#store.isHeld(chunkIndex)) return;
    if (buffer === undefined) await this.#store.storeZero(chunkIndex);
    else await this.#options.space.use(this.#store.lengthOf(chunkIndex), () => this.#store.store(chunkIndex, buffer));
  }
}
