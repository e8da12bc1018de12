/**
 * Several sources that deliver the same range into one sink: whoever is ahead is heard.
 *
 * Invariant: the sink sees each byte once, in order, whatever the contenders do; all of them deliver right bytes.
 */

import type { RangeSink } from '../../block/sink.js';
export class Race {
  /** How much of the range the sink was given. */
  deliveredBytes = 0;
  readonly #sink: RangeSink;

  constructor(sink: RangeSink) {
    this.#sink = sink;
  }

  /** A sink for one more contender, which delivers the range from byte `startBytes` on. */
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
