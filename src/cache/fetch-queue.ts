/**
 * Decides when absent chunks are asked for, and in how large requests.
 *
 * Chunks that are asked for in the same turn of the event loop are coalesced into runs. Each kind of request has its own bound on requests under way. Prefetch starts
 * only when no demand is queued and memory is free at once; all others wait for memory in order.
 *
 * Invariant: whatever is queued will be looked at again: a turn is scheduled, or a request of this queue is under way and schedules one when it ends.
 */
import type { Budget } from '../base/budget.js';
import type { Flight, FlightPriority } from './flight.js';

export interface FetchLimits {
  /** Requests under way to the source for this host's guests, and as many again for peers'. */
  demandRequests: number;
  /** Requests under way for readahead, and as many again for warming. */
  prefetchRequests: number;
  /** The longest request, in chunks. */
  maxRunChunks: number;
  /** No request goes beyond a multiple of this many chunks, where another source may begin. Default: none. */
  extentChunks?: number | undefined;
}

/** For each kind of request its own, so that none can starve another (see `flight.ts`). */
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

  /** @param options.drop told of each prefetch that is given up before it began: nobody waits for those */
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

  /** Takes a chunk out that nobody wants any more. Does nothing once it is being fetched. */
  remove(flight: Flight): boolean {
    return this.#queued[flight.priority].delete(flight.chunkIndex);
  }

  /** Somebody asks for it whose kind goes first: if it is still queued it moves there. `false`: it was of that kind or a better one already. */
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
    // A microtask would run between two requests of one input batch; the check phase comes after all of them.
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

  /** There is no memory for a prefetch. Where nothing of ours will end, nobody would come back for it either: it all goes. */
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

  /** The contiguous run around `first`, from its lowest queued neighbour on. */
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
