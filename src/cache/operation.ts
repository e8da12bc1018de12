/**
 * One request on its way through the cache. Its parts are reads from this host's disk and chunks
 * that it awaits; they settle together.
 *
 * Invariant: the target is not written any more once the promise settled. So a request that is
 * given up (deadline, dead connection) leaves its flights at once, but awaits disk reads that fill
 * the target.
 */

import { unwatchAbort, watchAbort } from '../base/abort.js';
import type { Clock } from '../base/clock.js';
import { AbortedError, DeadlineError } from '../base/error.js';
import type { Place } from '../block/place.js';
import type { PlacedSink } from '../block/sink.js';
import type { Flight, FlightPriority, FlightWaiter } from './flight.js';
import type { Role } from './role.js';

export interface OperationOptions {
  what: string;
  role: Role;
  priority: FlightPriority;
  /** Deadline, in ms; 0 means none. */
  deadlineMs: number;
  /** Returns the possible cause of a missed deadline. */
  trouble: (() => string | undefined) | undefined;
  signal: AbortSignal | undefined;
  clock: Clock;
}

/** Owner of flights; told of each flight that a waiter leaves before its end. */
export interface FlightOwner {
  leave(flight: Flight, waiter: Operation): void;
}

/** Order of places. A request counts by the farthest place of any of its bytes. */
const distance: Record<Place, number> = { cache: 0, peer: 1, origin: 2 };

export abstract class Operation implements FlightWaiter {
  abstract readonly wantsStored: boolean;
  abstract neededBytes(chunkIndex: number): number;
  /** Settles when every part has settled. */
  readonly done: Promise<Place>;
  source: Place = 'cache';
  readonly #options: OperationOptions;
  /** Awaited flights by chunk. An operation waits for a chunk in one place at a time. */
  readonly #flights = new Map<number, { flight: Flight; owner: FlightOwner }>();
  /** Parts under way, and one more while parts are being added. */
  #pendingCount = 1;
  #error: unknown;
  #failed = false;
  #cancelTimer: (() => void) | undefined;
  #onAbort: (() => void) | undefined;
  #resolve!: (source: Place) => void;
  #reject!: (error: unknown) => void;

  constructor(options: OperationOptions) {
    this.#options = options;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get role(): Role {
    return this.#options.role;
  }

  get priority(): FlightPriority {
    return this.#options.priority;
  }

  /** True once the request has failed; a new part would be wasted. */
  get isOver(): boolean {
    return this.#failed;
  }

  /** Begins a part that can't be given up: a read from this host's disk. */
  begin(): void {
    this.#pendingCount += 1;
  }

  end(error?: unknown): void {
    if (error !== undefined) this.fail(error);
    this.#pendingCount -= 1;
    if (this.#pendingCount > 0) return;
    this.#stopClock();
    if (this.#failed) this.#reject(this.#error);
    else this.#resolve(this.source);
  }

  /** Waits for a chunk. The deadline counts from the first wait. */
  join(flight: Flight, owner: FlightOwner): void {
    if (this.#failed) return;
    this.begin();
    this.#flights.set(flight.chunkIndex, { flight, owner });
    flight.waiters.add(this);
    this.#startClock();
  }

  arrived(chunkIndex: number, buffer: Buffer | undefined, place: Place): void {
    this.#flights.delete(chunkIndex);
    if (distance[place] > distance[this.source]) this.source = place;
    if (!this.#failed) this.take(chunkIndex, buffer, place);
    this.end();
  }

  failed(chunkIndex: number, error: unknown): void {
    this.#flights.delete(chunkIndex);
    this.fail(error);
    this.end();
  }

  /**
   * Takes the bytes of an awaited chunk (`undefined`: zeros), to be copied before this returns.
   */
  protected abstract take(chunkIndex: number, buffer: Buffer | undefined, place: Place): void;

  /** Gives the request up: the first error counts, and all flights are left. */
  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
    const flights = [...this.#flights.values()];
    this.#flights.clear();
    for (const { flight, owner } of flights) {
      owner.leave(flight, this);
      this.end();
    }
  }

  #startClock(): void {
    if (this.#onAbort !== undefined) return;
    const { what, deadlineMs, signal, clock, trouble } = this.#options;
    this.#onAbort = () => this.fail(new AbortedError(what));
    watchAbort(signal, this.#onAbort);
    if (deadlineMs > 0)
      this.#cancelTimer = clock.after(deadlineMs, () => this.fail(new DeadlineError(what, deadlineMs, { cause: trouble?.() })));
    if (signal?.aborted) this.#onAbort();
  }

  #stopClock(): void {
    this.#cancelTimer?.();
    if (this.#onAbort !== undefined) unwatchAbort(this.#options.signal, this.#onAbort);
  }
}

/** Puts bytes into `target`, whose first byte is the image's byte at `offset`. */
export class ReadOperation extends Operation {
  readonly wantsStored = false;
  readonly target: Buffer;
  readonly offset: number;
  readonly #chunkBytes: number;

  constructor(options: OperationOptions, target: Buffer, offset: number, chunkBytes: number) {
    super(options);
    this.target = target;
    this.offset = offset;
    this.#chunkBytes = chunkBytes;
  }

  neededBytes(chunkIndex: number): number {
    return Math.min(this.#chunkBytes, this.offset + this.target.length - chunkIndex * this.#chunkBytes);
  }

  protected take(chunkIndex: number, buffer: Buffer | undefined): void {
    const chunkOffset = chunkIndex * this.#chunkBytes;
    const from = Math.max(this.offset, chunkOffset);
    const to = Math.min(this.offset + this.target.length, chunkOffset + this.#chunkBytes);
    if (buffer === undefined) this.target.fill(0, from - this.offset, to - this.offset);
    else buffer.copy(this.target, from - this.offset, from - chunkOffset, to - chunkOffset);
  }
}

/** Waits for the chunks to be in the store, not for their bytes. */
export class StoreOperation extends Operation {
  readonly wantsStored = true;

  neededBytes(): number {
    return Number.POSITIVE_INFINITY;
  }

  protected take(): void {}
}

/**
 * Passes the bytes of chunks on to a sink as they arrive, without memory of its own.
 *
 * Invariant: the sink gets a prefix of the range in order. A chunk that arrives before the one in
 * front of it is left out, and so is every chunk behind it.
 */
export class StreamOperation extends Operation {
  readonly wantsStored = false;
  /** Bytes that the sink has got. */
  passedBytes = 0;
  readonly #sink: PlacedSink;
  readonly #offset: number;
  readonly #end: number;
  readonly #chunkBytes: number;

  constructor(options: OperationOptions, sink: PlacedSink, offset: number, lengthBytes: number, chunkBytes: number) {
    super(options);
    this.#sink = sink;
    this.#offset = offset;
    this.#end = offset + lengthBytes;
    this.#chunkBytes = chunkBytes;
  }

  neededBytes(chunkIndex: number): number {
    return Math.min(this.#chunkBytes, this.#end - chunkIndex * this.#chunkBytes);
  }

  protected take(chunkIndex: number, buffer: Buffer | undefined, place: Place): void {
    const at = this.#offset + this.passedBytes;
    const chunkOffset = chunkIndex * this.#chunkBytes;
    if (at < chunkOffset || at >= chunkOffset + this.#chunkBytes) return;
    const to = Math.min(this.#end, chunkOffset + this.#chunkBytes);
    try {
      this.#sink.from(place === 'origin' ? 'origin' : 'peer');
      if (buffer === undefined) this.#sink.zeroes(to - at);
      else this.#sink.data(buffer.subarray(at - chunkOffset, to - chunkOffset));
      this.passedBytes += to - at;
      // The next chunk may come from elsewhere.
      if (to < this.#end) this.#sink.from('peer');
    } catch (error) {
      // The flight answers other waiters, too: a sink's error is this operation's alone.
      this.fail(error);
    }
  }
}
