/**
 * Counts the requests of one connection that are under way at the device, and answers those that
 * failed.
 */
import type { Request } from '../nbd/codec/frame.js';

export interface RequestTracker {
  /** Called when a request begins at the device. */
  began(): void;
  /** Called when a request that began has been answered. */
  ended(): void;
  /** Answers a request that failed at the device. `ended` follows. */
  failed(request: Request, error: unknown): void;
  /** Ends the connection after an error that is no request's. */
  broke(error: unknown): void;
}
