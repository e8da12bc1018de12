/**
 * Lets through only whole chunks that a verifier knows as right.
 *
 * When to use: around the sink of one read from one source (a peer, an origin), so that the source
 * of wrong bytes is known. Cost: a digest of every byte, some 60 µs for 256 KiB; a copy of chunks
 * that come in more than one piece. A short read waits for the rest of its chunk.
 *
 * Invariants: the sink behind sees matching chunks in order, and nothing else. After the first
 * wrong one it sees nothing more. If another source goes on from `verifiedBytes`, no chunk that was
 * let through is asked for twice.
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
  /** Bytes that the sink behind was given: whole chunks, from the start of the read. */
  verifiedBytes = 0;
  readonly #gatherer: ChunkGatherer;

  /**
   * @param offset beginning of the read, the first byte of a chunk
   * @param lengthBytes length of the read, which ends with a chunk; the image's last chunk may be
   * short
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

  /** True if all of the range was let through. */
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

  /**
   * Gives back held bytes of a failed read; a complete one holds none. Later pieces are refused.
   */
  release(): void {
    this.#gatherer.release();
  }
}
