/**
 * The single flight of one absent chunk: one fetch for all requests that wait for the chunk.
 *
 * A flight is queued, then fetching (part of one `Fetch`), then arrived (bytes in memory, being
 * stored), then gone. A waiter is answered once its bytes are here, even if the chunk is not
 * complete, because a source delivers a right prefix or nothing.
 *
 * Invariant: the buffer goes back to the pool only when the chunk is stored and every waiter is
 * answered. So a waiter may copy from it inside its callback, and at no other time.
 */

import type { Place } from '../block/place.js';
export interface FlightWaiter {
  /**
   * The bytes are here. `buffer` holds the chunk until this returns; `undefined` means a chunk of
   * zeros.
   */
  arrived(chunkIndex: number, buffer: Buffer | undefined, place: Place): void;
  failed(chunkIndex: number, error: unknown): void;
  /**
   * True if the waiter needs the chunk in the store, not its bytes. It is told when the chunk is
   * stored (`arrived`) or can't be (`failed`).
   */
  readonly wantsStored: boolean;
  /** Bytes of the chunk, from its first byte on, that must be here before `arrived`. */
  neededBytes(chunkIndex: number): number;
}

/**
 * Order of fetches by their waiters: a guest, a peer's guest, warming (here or at a peer), and no
 * known waiter.
 */
export type FlightPriority = 'demand' | 'peer' | 'background' | 'prefetch';

export type FlightState = 'queued' | 'fetching' | 'arrived';

export class Flight {
  readonly chunkIndex: number;
  priority: FlightPriority;
  state: FlightState = 'queued';
  buffer: Buffer | undefined;
  /** Place that the bytes come from, once the source has named it. */
  place: Place | undefined;
  /** Bytes of the chunk that are here, from its first byte on. */
  filledBytes = 0;
  readonly waiters = new Set<FlightWaiter>();

  constructor(chunkIndex: number, priority: FlightPriority) {
    this.chunkIndex = chunkIndex;
    this.priority = priority;
  }

  /** All bytes arrived: answers all waiters that need bytes. */
  deliver(): void {
    this.state = 'arrived';
    this.#answer();
  }

  /**
   * Further bytes arrived: answers the waiters that need no others. So a small read waits for no
   * more of its chunk than it needs.
   */
  deliverSoFar(filledBytes: number): void {
    this.filledBytes = filledBytes;
    if (this.waiters.size > 0) this.#answer();
  }

  /** Returns true if the waiter can be answered at once. */
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

  /** Ends the flight: answers all waiters that are left. */
  settle(error: unknown): void {
    for (const waiter of this.waiters) {
      if (error === undefined) waiter.arrived(this.chunkIndex, this.buffer, this.place ?? 'origin');
      else waiter.failed(this.chunkIndex, error);
    }
    this.waiters.clear();
  }
}
