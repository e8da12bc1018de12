/**
 * Lets an origin deliver only bytes that match the image's manifest.
 *
 * When to use: directly around the origin of a sealed content, below retries. Cost: that of
 * `VerifyingSink`; reads must be of whole chunks.
 */

import { errorMessage } from '../base/error.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginDecorator } from '../origin/decorator.js';
import { type Origin, OriginError } from '../origin/origin.js';
import type { ChunkVerifier } from './verifier.js';
import { ManifestMismatchError, VerifyingSink } from './verifying-sink.js';

/**
 * Wraps an origin. Bytes that do not match are `ERR_ORIGIN_CHANGED`: the origin has other content
 * under the URL, or damaged content.
 */
export function withManifest(origin: Origin, verifier: ChunkVerifier): Origin {
  return new SealedOrigin(origin, verifier);
}

class SealedOrigin extends OriginDecorator {
  readonly #verifier: ChunkVerifier;

  constructor(below: Origin, verifier: ChunkVerifier) {
    super(below);
    this.#verifier = verifier;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options?: SourceReadOptions): Promise<void> {
    const verifying = new VerifyingSink(sink, this.#verifier, offset, lengthBytes);
    try {
      await this.below.read(offset, lengthBytes, verifying, options);
    } catch (error) {
      if (!(error instanceof ManifestMismatchError)) throw error;
      throw new OriginError('ERR_ORIGIN_CHANGED', `${this.url}: ${errorMessage(error)}`, { cause: error });
    } finally {
      verifying.release();
    }
  }
}
