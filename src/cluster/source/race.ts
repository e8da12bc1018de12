/**
 * Several sources deliver the same range into one sink, which takes each byte from the first source
 * that brings it.
 *
 * Invariant: the sink gets each byte once, in order, whatever the contenders do. All of them
 * deliver right bytes.
 */

import type { RangeSink } from '../../block/sink.js';
export class Race {
  /** Bytes of the range that the sink was given. */
  deliveredBytes = 0;
  readonly #sink: RangeSink;

  constructor(sink: RangeSink) {
    this.#sink = sink;
  }

  /** Makes a sink for one more contender, which delivers the range from byte `startBytes` on. */
  contender(startBytes = 0): RangeSink {
    let at = startBytes;
    return {
      data: (piece) => {
        const known = Math.max(0, Math.min(piece.length, this.deliveredBytes - at));
        at += piece.length;
        if (known === piece.length) return;
        this.deliveredBytes = at;
        this.#sink.data(known === 0 ? piece : piece.subarray(known));
      },
      zeroes: (lengthBytes) => {
        const known = Math.max(0, Math.min(lengthBytes, this.deliveredBytes - at));
        at += lengthBytes;
        if (known === lengthBytes) return;
        this.deliveredBytes = at;
        this.#sink.zeroes(lengthBytes - known);
      },
    };
  }
}
