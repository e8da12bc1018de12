/**
 * Another node as the decisions see it: what can be asked of it. The real one speaks NBD (`nbd-peer.ts`); a simulation has its own.
 *
 * Every content has two exports at a peer: as `home` it may ask holders and the origin, as `held` it answers from its own store alone.
 */

import { CopseError, errorCode } from '../base/error.js';
import type { RangeSink } from '../block/sink.js';

/** Who is asked, where nothing else need be known of it. */
export interface PeerTarget {
  /** Node id. */
  id: string;
  /** HOST:PORT where peers reach it. */
  address: string;
}

export interface PeerContent {
  /** The same on all nodes; 32 hexadecimal digits. */
  id: string;
  /** A peer whose export has another size is not asked. */
  sizeBytes: number;
  chunkBytes: number;
}

export interface PeerRequestOptions {
  /** Ends the request; it rejects with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Prefetch, warming: travels on connections of its own, behind all demand. */
  background?: boolean | undefined;
}

export interface CachedRun {
  lengthBytes: number;
  cached: boolean;
}

export interface Peer {
  readonly id: string;
  /**
   * Delivers the range, which the peer gets by all its means. Waits as long as the peer is well: its connection's end or silence, its failing pings, an answer, or
   * half of a guest's deadline end the wait.
   * What rejects may have delivered a prefix.
   */
  readHome(content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options?: PeerRequestOptions): Promise<void>;
  /** Delivers the range from the peer's own store, or fails with `ERR_PEER_ABSENT`. */
  readHeld(content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options?: PeerRequestOptions): Promise<void>;
  /** Has the peer, as home, bring the range into its own cache. */
  cacheHome(content: PeerContent, offset: number, lengthBytes: number, options?: PeerRequestOptions): Promise<void>;
  /** Which parts of the range the peer holds: consecutive runs from `offset`, all of the range. A hint. */
  cachedRuns(content: PeerContent, offset: number, lengthBytes: number, options?: PeerRequestOptions): Promise<CachedRun[]>;
}

/**
 * - `ERR_PEER_GONE`: not reached, disconnected, silent, without an answer for too long, or its pings fail: the next one is asked.
 * - `ERR_PEER_REFUSED`: it answered with an error (its origin failed, it does not serve the content).
 * - `ERR_PEER_ABSENT`: asked what it holds, it does not hold it.
 * - `ERR_PEER_LIED`: short or long answers, another size, bytes that do not match the manifest: set aside for that content.
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
 * The error of a connection that went silent, or of a peer that never answers, if that is why a request failed. All
 * requests that failed with one connection have the same object.
 */
export function silenceOf(error: unknown): Error | undefined {
  const cause = error instanceof PeerError ? error.cause : undefined;
  return cause instanceof Error && ['ERR_NBD_SILENT', 'ERR_NBD_UNANSWERED'].includes(errorCode(cause)) ? cause : undefined;
}
