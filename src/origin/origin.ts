/**
 * Where an image's bytes come from: one range read that either delivers exactly the pinned image's bytes or fails.
 *
 * Retries, deadlines, coalescing and caching are decorators and layers above; an origin makes one attempt.
 */

import { CopseError } from '../base/error.js';
import type { Secret } from '../base/secret.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import type { OriginIdentity } from './identity.js';

export type { OriginIdentity } from './identity.js';

/**
 * Time that the kernel lets bytes to an origin stay unacknowledged before it ends the connection, in ms. An origin that
 * is slow acknowledges what it was asked; a connection that a firewall forgot does not. A foreign server can't be asked
 * for a sign of life, so this is shorter than for peers.
 */
export const originUserTimeoutMs = 4000;

export interface Origin {
  /** For people and logs; never holds a password. */
  readonly url: string;
  readonly identity: OriginIdentity;
  readonly sizeBytes: number;
  /**
   * One attempt at `[offset, offset + lengthBytes)`, which lies inside `sizeBytes`.
   *
   * Rejects with OriginError. Any number may run at once; the origin bounds its own connections.
   */
  read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void>;
  close(): Promise<void>;
}

/**
 * - `ERR_ORIGIN_CHANGED`: the content is no longer the pinned one. Never retried.
 * - `ERR_ORIGIN_REFUSED`: the origin answers, but not with the content (401, 403, 404, no such file, bad export). Never retried.
 * - `ERR_ORIGIN_PROTOCOL`: it does not keep to its protocol (ignores Range, sends short or too long). Never retried when it ignores
 *   Range; a body that stops short is `ERR_ORIGIN_UNAVAILABLE`.
 * - `ERR_ORIGIN_UNAVAILABLE`: it can't be reached, broke off, 429, 5xx: worth another try.
 * - `ERR_FORMAT`: the content can't be decoded, or names files outside itself.
 */
export type OriginErrorCode = 'ERR_ORIGIN_CHANGED' | 'ERR_ORIGIN_REFUSED' | 'ERR_ORIGIN_PROTOCOL' | 'ERR_ORIGIN_UNAVAILABLE' | 'ERR_FORMAT';

export class OriginError extends CopseError {
  /** How long the origin asked to be left alone (Retry-After), at most 60 000 ms; a hint for whoever retries. */
  readonly retryAfterMs: number | undefined;

  constructor(code: OriginErrorCode, message: string, options?: { cause?: unknown; retryAfterMs?: number | undefined }) {
    super(code, message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }

  get retryable(): boolean {
    return this.code === 'ERR_ORIGIN_UNAVAILABLE';
  }
}

/** Secrets and trust of this node for origins, from its configuration; the catalog only ever names URLs. */
export interface OriginCredential {
  /** Applies to URLs that begin with this prefix; the longest match wins. */
  urlPrefix: string;
  basic?: { user: string; password: Secret } | undefined;
  bearer?: Secret | undefined;
  /** PEM file of certificate authorities to trust instead of the system's. */
  caFile?: string | undefined;
}
