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
import type { RangeSink } from '../origin/origin.js';
import type { ChunkVerifier } from './verifier.js';

/** Bytes came that are not the image's. Code `ERR_DIGEST_MISMATCH`. */
export class ManifestMismatchError extends CopseError {
  readonly chunkIndex: number;

  constructor(chunkIndex: number) {
    super('ERR_DIGEST_MISMATCH', `chunk ${chunkIndex} does not match its digest in the manifest: these are not the sealed image's bytes`);
    this.chunkIndex = chunkIndex;
  }
}

/** Unused chunk buffers of one size, at most 8 MiB. */
const idle = new Map<number, Buffer[]>();
const keptBytes = 8 * 1024 * 1024;

export class VerifyingSink implements RangeSink {
  /** What the sink behind was given: whole chunks, from the start of the read. */
  verifiedBytes = 0;
  readonly #sink: RangeSink;
  readonly #verifier: ChunkVerifier;
  readonly #offset: number;
  readonly #lengthBytes: number;
  /** The chunk that has come in part, from its first byte; a lent buffer. */
  #buffer: Buffer | undefined;
  #heldBytes = 0;
  /** All that is held came as zeros: `#buffer` is not filled yet. */
  #heldIsZero = false;
  #isOver = false;

  /**
   * @param offset where the read begins: a chunk's first byte
   * @param lengthBytes of the read, which ends with a chunk: the image's last one may be short
   */
  constructor(sink: RangeSink, verifier: ChunkVerifier, offset: number, lengthBytes: number) {
    if (offset % verifier.chunkBytes !== 0) throw new RangeError(`a read at ${offset} begins inside of a chunk`);
    this.#sink = sink;
    this.#verifier = verifier;
    this.#offset = offset;
    this.#lengthBytes = lengthBytes;
  }

  /** Whether all of the range was let through. */
  get isComplete(): boolean {
    return this.verifiedBytes === this.#lengthBytes;
  }

  /** @throws ManifestMismatchError */
  data(piece: Buffer): void {
    this.#assertExpected(piece.length);
    for (let at = 0; at < piece.length; ) {
      const chunkBytes = this.#currentChunkBytes();
      if (this.#heldBytes === 0 && piece.length - at >= chunkBytes) {
        this.#pass(piece.subarray(at, at + chunkBytes));
        at += chunkBytes;
        continue;
      }
      const takenBytes = Math.min(chunkBytes - this.#heldBytes, piece.length - at);
      piece.copy(this.#gathering(), this.#heldBytes, at, at + takenBytes);
      this.#held(takenBytes);
      at += takenBytes;
    }
  }

  /** @throws ManifestMismatchError */
  zeroes(lengthBytes: number): void {
    this.#assertExpected(lengthBytes);
    for (let left = lengthBytes; left > 0; ) {
      const takenBytes = Math.min(this.#currentChunkBytes() - this.#heldBytes, left);
      if (this.#heldBytes === 0) this.#heldIsZero = true;
      else if (!this.#heldIsZero) this.#gathering().fill(0, this.#heldBytes, this.#heldBytes + takenBytes);
      this.#held(takenBytes);
      left -= takenBytes;
    }
  }

  /** Gives back what it holds. For a read that failed; one that was complete holds nothing. Whatever comes afterwards is refused. */
  release(): void {
    this.#isOver = true;
    this.#giveBack();
  }

  #assertExpected(lengthBytes: number): void {
    if (this.#isOver) throw new RangeError('bytes for a read that is over');
    if (this.verifiedBytes + this.#heldBytes + lengthBytes > this.#lengthBytes)
      throw new RangeError(`${lengthBytes} bytes are more than was asked for`);
  }

  #currentChunkBytes(): number {
    return Math.min(this.#verifier.chunkBytes, this.#lengthBytes - this.verifiedBytes);
  }

  #gathering(): Buffer {
    this.#buffer ??= idle.get(this.#verifier.chunkBytes)?.pop() ?? Buffer.allocUnsafeSlow(this.#verifier.chunkBytes);
    if (this.#heldIsZero) this.#buffer.fill(0, 0, this.#heldBytes);
    this.#heldIsZero = false;
    return this.#buffer;
  }

  #held(lengthBytes: number): void {
    this.#heldBytes += lengthBytes;
    if (this.#heldBytes < this.#currentChunkBytes()) return;
    const chunk = this.#heldIsZero ? undefined : this.#gathering().subarray(0, this.#heldBytes);
    this.#heldBytes = 0;
    this.#heldIsZero = false;
    try {
      this.#pass(chunk);
    } finally {
      this.#giveBack();
    }
  }

  /** @param chunk `undefined` for one that came as zeros */
  #pass(chunk: Buffer | undefined): void {
    const chunkIndex = (this.#offset + this.verifiedBytes) / this.#verifier.chunkBytes;
    const chunkBytes = this.#currentChunkBytes();
    const isZero = this.#verifier.isZero(chunkIndex);
    if (chunk === undefined ? !isZero : !this.#verifier.matches(chunkIndex, chunk)) {
      this.#isOver = true;
      throw new ManifestMismatchError(chunkIndex);
    }
    if (chunk === undefined || isZero) this.#sink.zeroes(chunkBytes);
    else this.#sink.data(chunk);
    this.verifiedBytes += chunkBytes;
  }

  #giveBack(): void {
    const buffer = this.#buffer;
    this.#buffer = undefined;
    this.#heldBytes = 0;
    if (buffer === undefined) return;
    const kept = idle.get(buffer.length) ?? [];
    if (kept.length * buffer.length < keptBytes) kept.push(buffer);
    idle.set(buffer.length, kept);
  }
}
