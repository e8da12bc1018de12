/**
 * Decides when absent chunks are fetched, and in how large requests.
 *
 * Chunks that are added in the same turn of the event loop are coalesced into runs. Each kind of
 * request has its own bound on requests under way. A prefetch starts only if no demand is queued
 * and memory is free at once. All other kinds wait for memory in order.
 *
 * Invariant: a queued chunk is always looked at again. Either a turn is scheduled, or a request of
 * this queue is under way and schedules one when it ends.
 */
import type { Budget } from '../base/budget.js';
import type { Flight, FlightPriority } from './flight.js';

export interface FetchLimits {
  /**
   * Bound on the requests under way for this host's guests, and the same again for peers' guests.
   */
  demandRequests: number;
  /** Bound on the requests under way for readahead, and the same again for warming. */
  prefetchRequests: number;
  /** Bound on the length of a request, in chunks. */
  maxRunChunks: number;
  /**
   * Chunks per extent. No request crosses a multiple of it, because another source may begin there.
   * Default: no extents.
   */
  extentChunks?: number | undefined;
}

/** Memory per kind of request, so that none can starve another (see `flight.ts`). */
export type FetchMemory = Record<FlightPriority, Budget>;

export interface Run {
  flights: Flight[];
  priority: FlightPriority;
}

const priorities: readonly FlightPriority[] = ['demand', 'peer', 'background', 'prefetch'];

export class FetchQueue {
  readonly #limits: FetchLimits;
  readonly #chunkBytes: number;
  readonly #memory: FetchMemory;
  /** Settles when the request has ended and all its chunks are stored or given up. */
  readonly #fetch: (run: Run) => Promise<void>;
  readonly #drop: (flight: Flight) => void;
  readonly #queued: Record<FlightPriority, Map<number, Flight>> = {
    demand: new Map(),
    peer: new Map(),
    background: new Map(),
    prefetch: new Map(),
  };
  readonly #running: Record<FlightPriority, number> = { demand: 0, peer: 0, background: 0, prefetch: 0 };
  #scheduled = false;

  /**
   * @param options.drop called with each prefetch that is given up before it began; no waiter has
   * joined it
   */
  constructor(options: {
    limits: FetchLimits;
    chunkBytes: number;
    memory: FetchMemory;
    fetch: (run: Run) => Promise<void>;
    drop: (flight: Flight) => void;
  }) {
    this.#limits = options.limits;
    this.#chunkBytes = options.chunkBytes;
    this.#memory = options.memory;
    this.#fetch = options.fetch;
    this.#drop = options.drop;
  }

  add(flight: Flight): void {
    this.#queued[flight.priority].set(flight.chunkIndex, flight);
    this.#schedule();
  }

  /**
   * Takes out a chunk that no waiter needs any more. Returns false, and does nothing, once it is
   * being fetched.
   */
  remove(flight: Flight): boolean {
    return this.#queued[flight.priority].delete(flight.chunkIndex);
  }

  /**
   * Raises the priority of a chunk, and moves it if it is still queued. Returns false if its
   * priority was as high already.
   */
  promote(flight: Flight, priority: FlightPriority): boolean {
    if (priorities.indexOf(flight.priority) <= priorities.indexOf(priority)) return false;
    const wasQueued = this.remove(flight);
    flight.priority = priority;
    if (wasQueued) this.add(flight);
    return true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A microtask would run between two requests of one input batch. The check phase comes after
    // all of them.
    setImmediate(() => {
      this.#scheduled = false;
      for (const priority of ['demand', 'peer', 'background'] as const) this.#dispatch(priority);
      if (this.#queued.demand.size === 0) this.#dispatch('prefetch');
    });
  }

  #dispatch(priority: FlightPriority): void {
    const queue = this.#queued[priority];
    const memory = this.#memory[priority];
    const { demandRequests, prefetchRequests } = this.#limits;
    const limit = priority === 'demand' || priority === 'peer' ? demandRequests : prefetchRequests;
    for (const first of queue.values()) {
      if (this.#running[priority] >= limit) return;
      const flights = this.#takeRun(queue, first, this.#limits.maxRunChunks);
      const bytes = flights.length * this.#chunkBytes;
      if (priority === 'prefetch') {
        if (!memory.tryTake(bytes)) {
          this.#putBack(flights);
          return;
        }
        this.#start({ flights, priority }, bytes, Promise.resolve());
      } else {
        this.#start({ flights, priority }, bytes, memory.take(bytes));
      }
    }
  }

  /**
   * Puts prefetches back that found no memory. If no request of this queue is under way, no end
   * would schedule them again, so all of them are dropped.
   */
  #putBack(flights: Flight[]): void {
    const queue = this.#queued.prefetch;
    for (const flight of flights) {
      flight.state = 'queued';
      queue.set(flight.chunkIndex, flight);
    }
    if (priorities.some((priority) => this.#running[priority] > 0)) return;
    const dropped = [...queue.values()];
    queue.clear();
    for (const flight of dropped) this.#drop(flight);
  }

  /** Takes the contiguous run around `first`, from its lowest queued neighbour on. */
  #takeRun(queue: Map<number, Flight>, first: Flight, maxChunks: number): Flight[] {
    const { extentChunks = Number.MAX_SAFE_INTEGER } = this.#limits;
    const extentStart = Math.floor(first.chunkIndex / extentChunks) * extentChunks;
    const extentEnd = extentStart + extentChunks;
    let index = first.chunkIndex;
    while (index > extentStart && first.chunkIndex - index < maxChunks - 1 && queue.has(index - 1)) index -= 1;
    const flights: Flight[] = [];
    for (
      let flight = queue.get(index);
      flight !== undefined && flights.length < maxChunks && index < extentEnd;
      flight = queue.get(++index)
    ) {
      queue.delete(index);
      flight.state = 'fetching';
      flights.push(flight);
    }
    return flights;
  }

  #start(run: Run, bytes: number, memory: Promise<void>): void {
    this.#running[run.priority] += 1;
    memory
      .then(() => this.#fetch(run))
      .finally(() => {
        this.#running[run.priority] -= 1;
        this.#memory[run.priority].release(bytes);
        this.#schedule();
      })
      .catch(() => {
        // The fetch tells its waiters of every failure itself.
      });
  }
}
