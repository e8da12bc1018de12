/**
 * Another node in the form that decisions need: the requests that it answers. The real one speaks
 * NBD (`peer/client/nbd-peer.ts`); a simulation has its own.
 *
 * Each content has two exports at a peer. As `home` the peer may ask holders and the origin. As
 * `held` it answers from its own store alone.
 */

import { CopseError, errorCode } from '../base/error.js';
import type { RangeSink } from '../block/sink.js';

/** A peer by id and address alone. */
export interface PeerTarget {
  /** Node id. */
  id: string;
  /** HOST:PORT where peers reach it. */
  address: string;
}

export interface PeerContent {
  /** Id of the content, the same on all nodes; 32 hexadecimal digits. */
  id: string;
  /** Size in bytes. A peer whose export has another size is not asked. */
  sizeBytes: number;
  chunkBytes: number;
}

export interface PeerRequestOptions {
  /** Ends the request; it rejects with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /**
   * True for prefetch and warming: the request travels on connections of their own, behind all
   * demand.
   */
  background?: boolean | undefined;
}

export interface CachedRun {
  lengthBytes: number;
  cached: boolean;
}

export interface Peer {
  readonly id: string;
  /**
   * Delivers the range, which the peer gets from any source. Waits as long as the peer is well. An
   * answer, the end or silence of its connection, failing pings, or half of a guest's deadline end
   * the wait. A rejected request may have delivered a prefix.
   */
  readHome(content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options?: PeerRequestOptions): Promise<void>;
  /** Delivers the range from the peer's own store, or fails with `ERR_PEER_ABSENT`. */
  readHeld(content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options?: PeerRequestOptions): Promise<void>;
  /** Makes the peer, as home, bring the range into its own cache. */
  cacheHome(content: PeerContent, offset: number, lengthBytes: number, options?: PeerRequestOptions): Promise<void>;
  /**
   * @returns the cached parts of the range: consecutive runs from `offset`, all of the range. A
   * hint
   */
  cachedRuns(content: PeerContent, offset: number, lengthBytes: number, options?: PeerRequestOptions): Promise<CachedRun[]>;
}

/**
 * - `ERR_PEER_GONE`: not reached, disconnected, silent, too late with its answer, or its pings
 *   fail. The next node is asked.
 * - `ERR_PEER_REFUSED`: it answered with an error (its origin failed, it does not serve the
 *   content).
 * - `ERR_PEER_ABSENT`: it does not hold the range that it was asked for as a holder.
 * - `ERR_PEER_LIED`: short or long answers, another size, bytes that do not match the manifest. It
 *   is set aside for that content.
 */
export type PeerErrorCode = 'ERR_PEER_GONE' | 'ERR_PEER_REFUSED' | 'ERR_PEER_ABSENT' | 'ERR_PEER_LIED';

export class PeerError extends CopseError {
  declare readonly code: PeerErrorCode;
  readonly peerId: string;

  constructor(code: PeerErrorCode, peerId: string, message: string, options?: { cause?: unknown }) {
    super(code, `peer ${peerId}: ${message}`, options);
    this.peerId = peerId;
  }
}

/**
 * @returns the error of a connection that went silent, or of a peer that never answers, if a
 * request failed for that reason. All requests that failed with one connection have the same object
 */
export function silenceOf(error: unknown): Error | undefined {
  const cause = error instanceof PeerError ? error.cause : undefined;
  return cause instanceof Error && ['ERR_NBD_SILENT', 'ERR_NBD_UNANSWERED'].includes(errorCode(cause)) ? cause : undefined;
}
