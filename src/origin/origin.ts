/**
 * Source of an image's bytes: one range read that either delivers exactly the pinned image's bytes
 * or fails.
 *
 * Retries, deadlines, coalescing and caching are decorators and layers above. An origin makes one
 * attempt.
 */

import { CopseError } from '../base/error.js';
import type { Secret } from '../base/secret.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import type { OriginIdentity } from './identity.js';

export type { OriginIdentity } from './identity.js';

/**
 * Longest time that bytes to an origin stay unacknowledged before the kernel ends the connection,
 * in ms. A slow origin acknowledges requests; a connection that a firewall forgot does not. A
 * foreign server can't be asked for a sign of life, so this is shorter than for peers.
 */
export const originUserTimeoutMs = 4000;

export interface Origin {
  /** URL for people and logs; never holds a password. */
  readonly url: string;
  readonly identity: OriginIdentity;
  readonly sizeBytes: number;
  /**
   * Makes one attempt at `[offset, offset + lengthBytes)`, which lies inside `sizeBytes`.
   *
   * Rejects with OriginError. Any number may run at once; the origin bounds its own connections.
   */
  read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void>;
  close(): Promise<void>;
}

/**
 * - `ERR_ORIGIN_CHANGED`: the content is no longer the pinned one. Never retried.
 * - `ERR_ORIGIN_REFUSED`: the origin answers, but not with the content (401, 403, 404, no such
 *   file, bad export). Never retried.
 * - `ERR_ORIGIN_PROTOCOL`: the origin breaks its protocol (ignores Range, sends a wrong length).
 *   Not retried if it ignores Range. A body that stops short is `ERR_ORIGIN_UNAVAILABLE`.
 * - `ERR_ORIGIN_UNAVAILABLE`: the origin can't be reached, broke off, or answered 429 or 5xx. Worth
 *   another try.
 * - `ERR_FORMAT`: the content can't be decoded, or names files outside itself.
 */
export type OriginErrorCode = 'ERR_ORIGIN_CHANGED' | 'ERR_ORIGIN_REFUSED' | 'ERR_ORIGIN_PROTOCOL' | 'ERR_ORIGIN_UNAVAILABLE' | 'ERR_FORMAT';

export class OriginError extends CopseError {
  /** Pause that the origin asked for (Retry-After), at most 60 000 ms; a hint for retries. */
  readonly retryAfterMs: number | undefined;

  constructor(code: OriginErrorCode, message: string, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(code, message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }

  get retryable(): boolean {
    return this.code === 'ERR_ORIGIN_UNAVAILABLE';
  }
}

/**
 * Secrets and certificate authorities of this node for origins, from its configuration. The catalog
 * only ever names URLs.
 */
export interface OriginCredential {
  /** Prefix of the URLs that it applies to; the longest match wins. */
  urlPrefix: string;
  basic?: { user: string; password: Secret } | undefined;
  bearer?: Secret | undefined;
  /** PEM file of certificate authorities to trust instead of the system's. */
  caFile?: string | undefined;
}
