/** Sinks that more than one origin or layer needs. */
import type { RangeSink } from '../block/sink.js';

/** Fills `target` from its start; `filledBytes` says how far. Asserts that the bytes fit. */
export class BufferSink implements RangeSink {
  readonly target: Buffer;
  filledBytes = 0;

  constructor(target: Buffer) {
    this.target = target;
  }

  data(piece: Buffer): void {
    this.#assertRoom(piece.length);
    piece.copy(this.target, this.filledBytes);
    this.filledBytes += piece.length;
  }

  zeroes(lengthBytes: number): void {
    this.#assertRoom(lengthBytes);
    this.target.fill(0, this.filledBytes, this.filledBytes + lengthBytes);
    this.filledBytes += lengthBytes;
  }

  #assertRoom(lengthBytes: number): void {
    if (this.filledBytes + lengthBytes > this.target.length) throw new RangeError(`${lengthBytes} bytes more than the sink has room for`);
  }
}

export function bufferSink(target: Buffer): BufferSink {
  return new BufferSink(target);
}

/** Passes everything on and counts it. A second attempt leaves out what was delivered. */
export class CountingSink implements RangeSink {
  dataBytes = 0;
  zeroBytes = 0;
  readonly #sink: RangeSink;

  constructor(sink: RangeSink) {
    this.#sink = sink;
  }

  get deliveredBytes(): number {
    return this.dataBytes + this.zeroBytes;
  }

  data(piece: Buffer): void {
    this.dataBytes += piece.length;
    this.#sink.data(piece);
  }

  zeroes(lengthBytes: number): void {
    this.zeroBytes += lengthBytes;
    this.#sink.zeroes(lengthBytes);
  }
}

/**
 * Remembers the error of the sink behind, so that an origin can tell a sink's errors from its own.
 * They are passed on as they are.
 */
export class GuardedSink implements RangeSink {
  readonly #sink: RangeSink;
  #failure: { error: unknown } | undefined;

  constructor(sink: RangeSink) {
    this.#sink = sink;
  }

  get failure(): { error: unknown } | undefined {
    return this.#failure;
  }

  data(piece: Buffer): void {
    try {
      this.#sink.data(piece);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }

  zeroes(lengthBytes: number): void {
    try {
      this.#sink.zeroes(lengthBytes);
    } catch (error) {
      this.#failure = { error };
      throw error;
    }
  }
}
