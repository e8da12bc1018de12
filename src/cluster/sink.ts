/** A sink that also learns from where: told before the bytes of each source. */
import type { RangeSink } from '../origin/origin.js';

/** `cache`: known here, such as zeros of which a manifest tells. */
export type Place = 'cache' | 'peer' | 'origin';

export interface SourcedSink extends RangeSink {
  /** What comes from here on is from there. A source that never says is the origin. */
  from(source: Place): void;
}
