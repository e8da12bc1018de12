/**
 * One absent chunk on its way here: single flight for however many ask.
 *
 * Life: queued, then fetching (part of one Fetch), then arrived (bytes in memory, being stored), then gone.
 * Invariant: the buffer goes back to the pool only when it is stored and every waiter was told, so a waiter may copy from it
 * inside its callback and at no other time.
 */
export interface FlightWaiter {
  /** The bytes are here: `buffer` holds the chunk until this returns; `undefined` means a chunk of zeros. */
  arrived(chunkIndex: number, buffer: Buffer | undefined): void;
  failed(chunkIndex: number, error: unknown): void;
  /** Wanted for its place in the cache, not for its bytes: told when it is stored instead (`arrived`), or that it could not be (`failed`). */
  readonly wantsStored: boolean;
}

export type FlightState = 'queued' | 'fetching' | 'arrived';

export class Flight {
  readonly chunkIndex: number;
  priority: 'demand' | 'prefetch';
  state: FlightState = 'queued';
  buffer: Buffer | undefined;
  readonly waiters = new Set<FlightWaiter>();

  constructor(chunkIndex: number, priority: 'demand' | 'prefetch') {
    this.chunkIndex = chunkIndex;
    this.priority = priority;
  }

  /** The bytes arrived: answers everybody who waits for bytes. */
  deliver(): void {
    this.state = 'arrived';
    for (const waiter of this.waiters) {
      if (waiter.wantsStored) continue;
      this.waiters.delete(waiter);
      waiter.arrived(this.chunkIndex, this.buffer);
    }
  }

  /** The end: answers everybody who is left. */
  settle(error: unknown): void {
    for (const waiter of this.waiters) {
      if (error === undefined) waiter.arrived(this.chunkIndex, this.buffer);
      else waiter.failed(this.chunkIndex, error);
    }
    this.waiters.clear();
  }
}
