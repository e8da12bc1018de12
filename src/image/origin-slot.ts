/**
 * The origin of a raw content, which may be missing. A content that only another node named is
 * opened without one; its chunks come from the members that serve it.
 *
 * A read that no member could answer fails here and is counted. It is retried like any read of an
 * origin that is away, because the member may come back. An origin can be put in later, never taken
 * out.
 */

import { displayUrl } from '../base/display-url.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { type Origin, OriginError, type OriginIdentity } from '../origin/origin.js';

/**
 * - `own`: this node's operator or catalog named the content.
 * - `allowed`: another node named it, and the configuration allows its URL, without credentials.
 * - `none`: another node named it.
 */
export type OriginAccess = 'none' | 'allowed' | 'own';

/** Decides per container, because each file of a chain of backing files has its own. */
export type OriginRule = (container: { url: string }) => OriginAccess;

export const ownOrigin: OriginRule = () => 'own';
export const noOrigin: OriginRule = () => 'none';

const rank = { none: 0, allowed: 1, own: 2 };

export interface OriginSlotOptions {
  url: string;
  identity: OriginIdentity;
  open(access: Exclude<OriginAccess, 'none'>): Origin;
}

export class OriginSlot implements Origin {
  readonly identity: OriginIdentity;
  readonly #options: OriginSlotOptions;
  #access: OriginAccess = 'none';
  #origin: Origin | undefined;
  #missCount = 0;

  constructor(options: OriginSlotOptions) {
    this.#options = options;
    this.identity = options.identity;
  }

  get url(): string {
    return displayUrl(this.#options.url);
  }

  get sizeBytes(): number {
    return this.identity.sizeBytes;
  }

  get access(): OriginAccess {
    return this.#access;
  }

  /** Reads that no member could answer while there was no origin. */
  get missCount(): number {
    return this.#access === 'none' ? this.#missCount : 0;
  }

  /** Puts an origin in if it is missing, or replaces it by one with more rights. */
  allow(access: OriginAccess): void {
    if (access === 'none' || rank[access] <= rank[this.#access]) return;
    const former = this.#origin;
    this.#origin = this.#options.open(access);
    this.#access = access;
    void former?.close();
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void> {
    if (this.#origin !== undefined) return this.#origin.read(offset, lengthBytes, sink, options);
    this.#missCount += 1;
    throw new OriginError(
      'ERR_ORIGIN_UNAVAILABLE',
      `${this.url}: only another node named this origin, so this node does not open it, and no member of the cluster gave the chunk`,
    );
  }

  async close(): Promise<void> {
    await this.#origin?.close();
  }
}
