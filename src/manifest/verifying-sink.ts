/**
 * Lets through only what a verifier knows as right, whole chunk by whole chunk.
 *
 * When to use: around the sink of one read from one source (a peer, an origin), so that whoever made it knows whose bytes were wrong. Cost: a digest of every byte, some
 * 60 µs for 256 KiB; a copy of those chunks that come in more than one piece; and a short read waits for the rest of its chunk.
 *
 * Invariants: the sink behind sees chunks that match and nothing else, in order; after the first wrong one it sees nothing more. Where the read
 * goes on from `verifiedBytes`, by another source, nothing is asked for twice that was let through.
 */

import { CopseError } from '../base/error.js';
import type { RangeSink } from '../block/sink.js';
import { ChunkGatherer } from './chunk-gatherer.js';
import type { ChunkVerifier } from './verifier.js';

/** Bytes came that are not the image's. Code `ERR_DIGEST_MISMATCH`. */
export class ManifestMismatchError extends CopseError {
  readonly chunkIndex: number;

  constructor(chunkIndex: number) {
    super('ERR_DIGEST_MISMATCH', `chunk ${chunkIndex} does not match its digest in the manifest: these are not the sealed image's bytes`);
    this.chunkIndex = chunkIndex;
  }
}

export class VerifyingSink implements RangeSink {
  /** What the sink behind was given: whole chunks, from the start of the read. */
  verifiedBytes = 0;
  readonly #gatherer: ChunkGatherer;

  /**
   * @param offset where the read begins: a chunk's first byte
   * @param lengthBytes of the read, which ends with a chunk: the image's last one may be short
   */
  constructor(sink: RangeSink, verifier: ChunkVerifier, offset: number, lengthBytes: number) {
    this.#gatherer = new ChunkGatherer(verifier.chunkBytes, offset, lengthBytes, (chunkIndex, chunkBytes, bytes) => {
      const isZero = verifier.isZero(chunkIndex);
      if (bytes === undefined ? !isZero : !verifier.matches(chunkIndex, bytes)) throw new ManifestMismatchError(chunkIndex);
      if (bytes === undefined || isZero) sink.zeroes(chunkBytes);
      else sink.data(bytes);
      this.verifiedBytes += chunkBytes;
    });
  }

  /** Whether all of the range was let through. */
  get isComplete(): boolean {
    return this.#gatherer.isComplete;
  }

  /** @throws ManifestMismatchError */
  data(piece: Buffer): void {
    this.#gatherer.data(piece);
  }

  /** @throws ManifestMismatchError */
  zeroes(lengthBytes: number): void {
    this.#gatherer.zeroes(lengthBytes);
  }

  /** Gives back what it holds. For a read that failed; one that was complete holds nothing. Whatever comes afterwards is refused. */
  release(): void {
    this.#gatherer.release();
  }
}
