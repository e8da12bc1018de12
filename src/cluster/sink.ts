/** A sink that also learns from where: told before the bytes of each source. */
import type { RangeSink } from '../origin/origin.js';

export interface SourcedSink extends RangeSink {
  /** What comes from here on is from there. A source that never says is the origin. */
  from(source: 'peer' | 'origin'): void;
}
