/** HTTP and HTTPS origins: reading pinned content by range, and pinning it. */

import type { Logger } from '../../base/log.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { RangeSink } from '../../block/sink.js';
import { type Origin, OriginError } from '../origin.js';
import { BufferSink } from '../sink.js';
import { type HttpOptions, HttpRequester } from './requester.js';
import { type HttpPin, isStrong, pinOf } from './validator.js';

export type { HttpOptions } from './requester.js';

export interface HttpOriginOptions extends HttpOptions {
  /** True if the caller verifies each chunk. Then the size is all that has to be as pinned. */
  sealed?: boolean | undefined;
}

export class HttpOrigin implements Origin {
  readonly url: string;
  readonly identity: HttpPin;
  /** Pin that each answer is compared with. */
  readonly #pin: HttpPin;
  readonly #requester: HttpRequester;

  /** Makes no connection. @throws OriginError `ERR_ORIGIN_REFUSED` if `url` is no HTTP URL */
  constructor(url: string, identity: HttpPin, options: HttpOriginOptions = {}) {
    this.#requester = new HttpRequester(url, options);
    this.url = this.#requester.display;
    this.identity = identity;
    this.#pin = options.sealed ? { kind: 'http', sizeBytes: identity.sizeBytes } : identity;
  }

  get sizeBytes(): number {
    return this.identity.sizeBytes;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    if (lengthBytes === 0) return;
    await this.#requester.get(offset, lengthBytes, this.#pin, sink, options);
  }

  close(): Promise<void> {
    return this.#requester.close();
  }
}

export interface HttpPinOptions extends HttpOptions {
  signal?: AbortSignal | undefined;
  log?: Logger | undefined;
  /**
   * True if a digest above tells right bytes from wrong ones. Then content may be pinned of which
   * the server gives the size alone.
   */
  sealed?: boolean | undefined;
}

/**
 * Pins the present content of `url` by a GET of its first byte. Many servers answer HEAD
 * differently.
 *
 * @throws OriginError `ERR_ORIGIN_PROTOCOL` if the server has no ranges, `ERR_ORIGIN_REFUSED` if
 * its answers show no change of content
 */
export async function pinHttp(url: string, options: HttpPinOptions): Promise<HttpPin> {
  const requester = new HttpRequester(url, options);
  try {
    const { headers, sizeBytes } = await requester.get(0, 1, undefined, new BufferSink(Buffer.alloc(1)), { signal: options.signal });
    const pin = pinOf(headers, sizeBytes);
    if (options.sealed) return pin ?? { kind: 'http', sizeBytes };
    if (pin === undefined) {
      const text = `${requester.display}: the server sends neither ETag nor Last-Modified, so a change would go unnoticed: have it send one, copy the image to a file, or seal such a copy and add the image with its manifest`;
      throw new OriginError('ERR_ORIGIN_REFUSED', text);
    }
    if (!isStrong(pin.etag) && pin.lastModified === undefined) {
      options.log?.warn({ origin: requester.display }, 'origin has only a weak ETag: changes may go unnoticed');
    }
    return pin;
  } finally {
    await requester.close();
  }
}
