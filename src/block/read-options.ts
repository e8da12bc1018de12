/** How a range is read: for a client of a device, and from a source behind a cache. */

export interface RequestOptions {
  /**
   * Aborted when the connection of the client has ended. The request may be given up; work that
   * other requests share goes on.
   */
  signal?: AbortSignal | undefined;
  /**
   * Deadline for the wait for origins and peers, in ms; 0 or absent means none. After it the
   * request fails with `ERR_DEADLINE`.
   */
  deadlineMs?: number | undefined;
}

/**
 * Urgency of a read. `background` (warming) and `prefetch` use connections of their own, so that
 * they never delay a guest's read. No client waits for a prefetch, so it gets one attempt.
 */
export type ReadPriority = 'demand' | 'background' | 'prefetch';

export interface SourceReadOptions {
  /** Ends the attempt; the read rejects with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Default `demand`. */
  priority?: ReadPriority | undefined;
  /**
   * Called after each failed attempt that will be repeated, before the pause. A caller that knows
   * another source may end the read.
   */
  onRetry?: (() => void) | undefined;
}
