/**
 * Decides when absent chunks are asked for, and in how large requests.
 *
 * Chunks that are asked for in the same turn of the event loop are coalesced into runs. Demand goes before prefetch, and each has its own bound on requests under
 * way; prefetch starts only where memory is free at once, demand waits for memory in order.
 *
 * Invariant: whatever is queued will be looked at again: a turn is scheduled, or a request of this queue is under way and schedules one when it ends.
 */
import type { Budget } from '../base/budget.js';
import type { Flight } from './flight.js';

export interface FetchLimits {
  /** Requests under way to the source for somebody who waits: guests, warming. */
  demandRequests: number;
  /** Requests under way for readahead. */
  prefetchRequests: number;
  /** The longest request, in chunks. */
  maxRunChunks: number;
}

export interface Run {
  flights: Flight[];
  priority: 'demand' | 'prefetch';
}

export class FetchQueue {
  readonly #limits: FetchLimits;
  readonly #chunkBytes: number;
  readonly #memory: Budget;
  /** Settles when the request has ended and all its chunks are stored or given up. */
  readonly #fetch: (run: Run) => Promise<void>;
  readonly #drop: (flight: Flight) => void;
  readonly #queued = { demand: new Map<number, Flight>(), prefetch: new Map<number, Flight>() };
  readonly #running = { demand: 0, prefetch: 0 };
  #scheduled = false;

  /** @param options.drop told of each prefetch that is given up before it began: nobody waits for those */
  constructor(options: {
    limits: FetchLimits;
    chunkBytes: number;
    memory: Budget;
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

  /** Takes a chunk out that nobody wants any more. Does nothing once it is being fetched. */
  remove(flight: Flight): boolean {
    return this.#queued[flight.priority].delete(flight.chunkIndex);
  }

  /** A guest asks for what was only a prefetch: if it is still queued it moves before all prefetches. */
  promote(flight: Flight): void {
    if (flight.priority === 'demand') return;
    const wasQueued = this.remove(flight);
    flight.priority = 'demand';
    if (wasQueued) this.add(flight);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A microtask would run between two requests of one input batch; the check phase comes after all of them.
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch('demand');
      if (this.#queued.demand.size === 0) this.#dispatch('prefetch');
    });
  }

  #dispatch(priority: 'demand' | 'prefetch'): void {
    const queue = this.#queued[priority];
    const limit = priority === 'demand' ? this.#limits.demandRequests : this.#limits.prefetchRequests;
    for (const first of queue.values()) {
      if (this.#running[priority] >= limit) return;
      const flights = this.#takeRun(queue, first, this.#limits.maxRunChunks);
      const bytes = flights.length * this.#chunkBytes;
      if (priority === 'prefetch') {
        if (!this.#memory.tryTake(bytes)) {
          this.#putBack(flights);
          return;
        }
        this.#start({ flights, priority }, bytes, Promise.resolve());
      } else {
        this.#start({ flights, priority }, bytes, this.#memory.take(bytes));
      }
    }
  }

  /** There is no memory for a prefetch. Where nothing of ours will end, nobody would come back for it either: it all goes. */
  #putBack(flights: Flight[]): void {
    const queue = this.#queued.prefetch;
    for (const flight of flights) {
      flight.state = 'queued';
      queue.set(flight.chunkIndex, flight);
    }
    if (this.#running.demand + this.#running.prefetch > 0) return;
    const dropped = [...queue.values()];
    queue.clear();
    for (const flight of dropped) this.#drop(flight);
  }

  /** The contiguous run around `first`, from its lowest queued neighbour on. */
  #takeRun(queue: Map<number, Flight>, first: Flight, maxChunks: number): Flight[] {
    let index = first.chunkIndex;
    while (first.chunkIndex - index < maxChunks - 1 && queue.has(index - 1)) index -= 1;
    const flights: Flight[] = [];
    for (let flight = queue.get(index); flight !== undefined && flights.length < maxChunks; flight = queue.get(++index)) {
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
        this.#memory.release(bytes);
        this.#schedule();
      })
      .catch(() => {
        // The fetch tells its waiters of every failure itself.
      });
  }
}
