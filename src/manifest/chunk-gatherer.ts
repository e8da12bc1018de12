/**
 * Turns the pieces of a read into whole chunks. A chunk that comes in more than one piece costs one
 * copy, the others none.
 *
 * Invariants: chunks come out in order, each once; the last one ends where the read ends. `onChunk`
 * may use its Buffer only until it returns.
 */

import { MiB } from '../base/size.js';
import type { RangeSink } from '../block/sink.js';

/** @param bytes all of the chunk; `undefined` for a chunk that came as zeros */
export type OnChunk = (chunkIndex: number, lengthBytes: number, bytes: Buffer | undefined) => void;

/** Unused chunk buffers by size, for all gatherers. */
const idle = new Map<number, Buffer[]>();
const keptBytes = 8 * MiB;

export class ChunkGatherer implements RangeSink {
  readonly #chunkBytes: number;
  readonly #end: number;
  readonly #onChunk: OnChunk;
  /** Beginning of the chunk that is being gathered. */
  #at: number;
  #heldBytes = 0;
  /** Lent while a part of a chunk is held that is not only zeros. */
  #buffer: Buffer | undefined;
  #isOver = false;

  /**
   * @param offset beginning of the read, the first byte of a chunk
   * @param lengthBytes length of the read, which ends with a chunk; the image's last chunk may be
   * short
   */
  constructor(chunkBytes: number, offset: number, lengthBytes: number, onChunk: OnChunk) {
    if (offset % chunkBytes !== 0) throw new RangeError(`a read at ${offset} begins inside of a chunk`);
    this.#chunkBytes = chunkBytes;
    this.#at = offset;
    this.#end = offset + lengthBytes;
    this.#onChunk = onChunk;
  }

  /** True if every chunk came out. */
  get isComplete(): boolean {
    return this.#at === this.#end;
  }

  /**
   * @throws what `onChunk` throws, after which nothing more is taken; a RangeError for more bytes
   * than were asked for
   */
  data(piece: Buffer): void {
    this.#assertExpected(piece.length);
    for (let from = 0; from < piece.length; ) {
      const takenBytes = Math.min(this.#wantedBytes(), piece.length - from);
      if (this.#heldBytes === 0 && takenBytes === this.#lengthBytes()) {
        this.#emit(piece.subarray(from, from + takenBytes));
      } else {
        piece.copy(this.#gathering(), this.#heldBytes, from, from + takenBytes);
        this.#hold(takenBytes);
      }
      from += takenBytes;
    }
  }

  /** @throws as `data` */
  zeroes(lengthBytes: number): void {
    this.#assertExpected(lengthBytes);
    for (let left = lengthBytes; left > 0; ) {
      const takenBytes = Math.min(this.#wantedBytes(), left);
      this.#buffer?.fill(0, this.#heldBytes, this.#heldBytes + takenBytes);
      this.#hold(takenBytes);
      left -= takenBytes;
    }
  }

  /** Gives back the buffer of a chunk that will not be completed. Later pieces are refused. */
  release(): void {
    this.#isOver = true;
    this.#giveBack();
  }

  #assertExpected(lengthBytes: number): void {
    if (this.#isOver) throw new RangeError('bytes for a read that is over');
    if (this.#at + this.#heldBytes + lengthBytes > this.#end) throw new RangeError(`${lengthBytes} bytes are more than was asked for`);
  }

  /** Length of the chunk that is being gathered. */
  #lengthBytes(): number {
    return Math.min(this.#chunkBytes, this.#end - this.#at);
  }

  #wantedBytes(): number {
    return this.#lengthBytes() - this.#heldBytes;
  }

  /** Zeros that came before were not written anywhere yet. */
  #gathering(): Buffer {
    if (this.#buffer === undefined) {
      this.#buffer = idle.get(this.#chunkBytes)?.pop() ?? Buffer.allocUnsafeSlow(this.#chunkBytes);
      this.#buffer.fill(0, 0, this.#heldBytes);
    }
    return this.#buffer;
  }

  #hold(lengthBytes: number): void {
    this.#heldBytes += lengthBytes;
    if (this.#wantedBytes() > 0) return;
    try {
      this.#emit(this.#buffer?.subarray(0, this.#heldBytes));
    } finally {
      this.#giveBack();
    }
  }

  #emit(bytes: Buffer | undefined): void {
    const lengthBytes = this.#lengthBytes();
    // Stays so if a callback throws: then nothing more is taken.
    this.#isOver = true;
    this.#onChunk(this.#at / this.#chunkBytes, lengthBytes, bytes);
    this.#isOver = false;
    this.#at += lengthBytes;
    this.#heldBytes = 0;
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
