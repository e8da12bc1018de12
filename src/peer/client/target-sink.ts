/**
 * Copies the bytes of a read into a buffer, in any order. Invariant: after `end` the buffer is not
 * written any more, even if bytes still arrive.
 */
import type { NbdReadSink } from '../../nbd/client/contract.js';

export class TargetSink implements NbdReadSink {
  readonly #target: Uint8Array;
  readonly #offset: number;
  #ended = false;

  /** @param offset position in the export of the target's first byte */
  constructor(target: Uint8Array, offset: number) {
    this.#target = target;
    this.#offset = offset;
  }

  data(piece: Buffer, offset: number): void {
    if (!this.#ended) this.#target.set(piece, offset - this.#offset);
  }

  zeroes(offset: number, lengthBytes: number): void {
    if (!this.#ended) this.#target.fill(0, offset - this.#offset, offset - this.#offset + lengthBytes);
  }

  end(): void {
    this.#ended = true;
  }
}
