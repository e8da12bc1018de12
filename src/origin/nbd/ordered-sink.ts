/**
 * Puts the answers of an NBD server, which come in any order, in order.
 *
 * Invariants: the sink behind it sees `[offset, offset + lengthBytes)` from its start, without
 * gaps. The range bounds what is held back. After `end`, or an error of the sink, nothing is
 * delivered.
 */
import type { RangeSink } from '../../block/sink.js';
import type { NbdReadSink } from '../../nbd/client/contract.js';

type Held = { data: Buffer } | { zeroBytes: number };

export class OrderedSink implements NbdReadSink {
  /** Number of arrivals; a watcher for stalls compares it. */
  arrivalCount = 0;
  readonly #sink: RangeSink;
  readonly #end: number;
  /** Offset of the next byte for the sink. */
  #at: number;
  readonly #held = new Map<number, Held>();
  #ended = false;
  #failure: { error: unknown } | undefined;

  constructor(offset: number, lengthBytes: number, sink: RangeSink) {
    this.#sink = sink;
    this.#at = offset;
    this.#end = offset + lengthBytes;
  }

  get complete(): boolean {
    return this.#at === this.#end;
  }

  /**
   * The error that the sink behind threw. It is kept here, so that a shared connection does not die
   * of it.
   */
  get failure(): { error: unknown } | undefined {
    return this.#failure;
  }

  data(piece: Buffer, offset: number): void {
    this.#take(offset, { data: piece });
  }

  zeroes(offset: number, lengthBytes: number): void {
    this.#take(offset, { zeroBytes: lengthBytes });
  }

  end(): void {
    this.#ended = true;
    this.#held.clear();
  }

  #take(offset: number, held: Held): void {
    this.arrivalCount += 1;
    if (this.#ended) return;
    this.#held.set(offset, held);
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) this.#deliver(next);
    } catch (error) {
      this.#failure = { error };
      this.end();
    }
  }

  #next(): Held | undefined {
    const held = this.#held.get(this.#at);
    this.#held.delete(this.#at);
    return held;
  }

  #deliver(held: Held): void {
    if ('data' in held) {
      this.#at += held.data.length;
      this.#sink.data(held.data);
    } else {
      this.#at += held.zeroBytes;
      this.#sink.zeroes(held.zeroBytes);
    }
  }
}

/** Cuts off bytes that were read only because the server wants aligned requests. */
export class ClippingSink implements NbdReadSink {
  readonly #sink: NbdReadSink;
  readonly #start: number;
  readonly #end: number;

  constructor(sink: NbdReadSink, offset: number, lengthBytes: number) {
    this.#sink = sink;
    this.#start = offset;
    this.#end = offset + lengthBytes;
  }

  data(piece: Buffer, offset: number): void {
    const from = Math.max(offset, this.#start);
    const to = Math.min(offset + piece.length, this.#end);
    if (to > from) this.#sink.data(piece.subarray(from - offset, to - offset), from);
  }

  zeroes(offset: number, lengthBytes: number): void {
    const from = Math.max(offset, this.#start);
    const to = Math.min(offset + lengthBytes, this.#end);
    if (to > from) this.#sink.zeroes(from, to - from);
  }
}
