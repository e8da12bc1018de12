/** Receivers of a range read. */
import type { Place } from './place.js';

/**
 * Takes the bytes of a range in order.
 *
 * The sum of all pieces is exactly the range when the read resolves. A read that rejects may have
 * delivered a prefix, every byte of which is right.
 */
export interface RangeSink {
  /** @param piece the sink's only until this returns */
  data(piece: Buffer): void;
  /** The next `lengthBytes` bytes are zeros that were not transferred. */
  zeroes(lengthBytes: number): void;
}

/** A sink that also learns where the bytes come from. */
export interface PlacedSink extends RangeSink {
  /**
   * All bytes from here on come from `place`, until the next call. Without any call they come from
   * the origin.
   */
  from(place: Place): void;
}
