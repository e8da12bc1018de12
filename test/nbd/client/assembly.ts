/** A read's sink that puts everything into one buffer and notes how it came. */
import type { NbdReadSink } from '../../../src/nbd/client/contract.js';

export class Assembly implements NbdReadSink {
  readonly content: Buffer;
  /** Bytes that came as holes. */
  zeroBytes = 0;
  dataBytes = 0;
  readonly #offset: number;

  constructor(offset: number, lengthBytes: number) {
    this.#offset = offset;
    // What never comes shows.
    this.content = Buffer.alloc(lengthBytes, 0xee);
  }

  data(piece: Buffer, offset: number): void {
    this.dataBytes += piece.length;
    piece.copy(this.content, offset - this.#offset);
  }

  zeroes(offset: number, lengthBytes: number): void {
    this.zeroBytes += lengthBytes;
    this.content.fill(0, offset - this.#offset, offset - this.#offset + lengthBytes);
  }
}
