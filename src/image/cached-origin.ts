/** A content as an origin. A container's headers are read through it, and so from the cache. */

import { displayUrl } from '../base/display-url.js';
import { MiB } from '../base/size.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import type { Origin, OriginIdentity } from '../origin/origin.js';
import type { Content } from './content.js';

const pieceBytes = 1 * MiB;

/**
 * Deadline of one read of a container, in ms. The request for decoded bytes has a deadline of its
 * own.
 */
export const containerDeadlineMs = 30_000;

export class CachedOrigin implements Origin {
  readonly #content: Content;

  constructor(content: Content) {
    this.#content = content;
  }

  get url(): string {
    return displayUrl(this.#content.spec.url);
  }

  get identity(): OriginIdentity {
    return this.#content.spec.identity;
  }

  get sizeBytes(): number {
    return this.#content.spec.sizeBytes;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    const end = offset + lengthBytes;
    for (let at = offset; at < end; at += pieceBytes) {
      const piece = Buffer.allocUnsafe(Math.min(pieceBytes, end - at));
      await this.#content.device.read(piece, at, { signal: options.signal, deadlineMs: containerDeadlineMs });
      sink.data(piece);
    }
  }

  /** The holder of the lease releases the content. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}
