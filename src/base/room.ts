/**
 * Room on a file system, which other data may give up: a write that finds none asks for it and is
 * tried again.
 *
 * Invariant: the number of tries is bounded. A try follows only after something was freed, and none
 * after the deadline.
 */
import { type Clock, systemClock } from './clock.js';
import { waitFor } from './deadline.js';
import { errorCode } from './error.js';

/**
 * Asks for this many bytes. Resolves to true if some were freed, so that another try is worth it.
 * Never rejects.
 */
export type Room = (lengthBytes: number) => Promise<boolean>;

export interface RoomOptions {
  /** Absent if nothing can be freed. */
  room: Room | undefined;
  lengthBytes: number;
  /** Deadline in ms; 0 or absent means none. */
  deadlineMs?: number | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/**
 * Runs `work`, and again after each `ENOSPC` for which room was made. Rejects with the last
 * `ENOSPC` if no room could be made in time.
 */
export async function withRoom<T>(work: () => Promise<T>, options: RoomOptions): Promise<T> {
  const { room, lengthBytes, deadlineMs = 0, signal, clock = systemClock } = options;
  const startMs = clock.nowMs();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC' || room === undefined) throw error;
      const leftMs = startMs + deadlineMs - clock.nowMs();
      if (deadlineMs > 0 && leftMs <= 0) throw error;
      const timeoutMs = deadlineMs > 0 ? leftMs : 0;
      const isFreed = await waitFor('room on the disk', room(lengthBytes), { timeoutMs, signal, clock }).catch(() => false);
      if (!isFreed) throw error;
    }
  }
}
