/**
 * One absent chunk on its way here: single flight for however many ask.
 *
 * Life: queued, then fetching (part of one Fetch), then arrived (bytes in memory, being stored), then gone.
 * A waiter is answered as soon as the bytes that it wants are here, be the chunk complete or not: a source delivers a right prefix or nothing.
 *
 * Invariant: the buffer goes back to the pool only when it is stored and every waiter was told, so a waiter may copy from it
 * inside its callback and at no other time.
 */

import type { Place } from '../block/place.js';
export interface FlightWaiter {
  /** The bytes are here: `buffer` holds the chunk until this returns; `undefined` means a chunk of zeros. */
  arrived(chunkIndex: number, buffer: Buffer | undefined, place: Place): void;
  failed(chunkIndex: number, error: unknown): void;
  /** Wanted for its place in the cache, not for its bytes: told when it is stored instead (`arrived`), or that it could not be (`failed`). */
  readonly wantsStored: boolean;
  /** How much of the chunk, from its first byte on, has to be here before `arrived` may be called. */
  neededBytes(chunkIndex: number): number;
}

/**
 * Who waits, and so what goes first: a guest; a peer's guest; warming, here or at a peer; nobody, as far as is known.
 */
export type FlightPriority = 'demand' | 'peer' | 'background' | 'prefetch';

export type FlightState = 'queued' | 'fetching' | 'arrived';

export class Flight {
  readonly chunkIndex: number;
  priority: FlightPriority;
  state: FlightState = 'queued';
  buffer: Buffer | undefined;
  /** Where the bytes come from, once the source has said. */
  place: Place | undefined;
  /** How much of the chunk is here already, from its first byte on. */
  filledBytes = 0;
  readonly waiters = new Set<FlightWaiter>();

  constructor(chunkIndex: number, priority: FlightPriority) {
    this.chunkIndex = chunkIndex;
    this.priority = priority;
  }

  /** All bytes arrived: answers everybody who waits for bytes. */
  deliver(): void {
    this.state = 'arrived';
    this.#answer();
  }

  /** More bytes arrived: answers those whose bytes are all among them, so that a small read waits for no more of its chunk than it wants. */
  deliverSoFar(filledBytes: number): void {
    this.filledBytes = filledBytes;
    if (this.waiters.size > 0) this.#answer();
  }

  /** Whether the waiter could be answered at once. */
  has(waiter: FlightWaiter): boolean {
    return (
      !waiter.wantsStored &&
      (this.state === 'arrived' || (this.state === 'fetching' && waiter.neededBytes(this.chunkIndex) <= this.filledBytes))
    );
  }

  #answer(): void {
    for (const waiter of this.waiters) {
      if (!this.has(waiter)) continue;
      this.waiters.delete(waiter);
      waiter.arrived(this.chunkIndex, this.buffer, this.place ?? 'origin');
    }
  }

  /** The end: answers everybody who is left. */
  settle(error: unknown): void {
    for (const waiter of this.waiters) {
      if (error === undefined) waiter.arrived(this.chunkIndex, this.buffer, this.place ?? 'origin');
      else waiter.failed(this.chunkIndex, error);
    }
    this.waiters.clear();
  }
}
