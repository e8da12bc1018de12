/**
 * The source of absent chunks, as the cache sees it. It delivers a range of the image with every
 * byte right, or fails. An origin with retries fits, and so does a cluster of peers.
 */

import type { SourceReadOptions } from '../block/read-options.js';
import type { PlacedSink } from '../block/sink.js';

export interface ChunkSource {
  /**
   * Delivers the range to the sink in order. The sink learns the place of the bytes if the source
   * tells.
   */
  read(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void>;
  /**
   * Hurries a range that is being read with a lesser priority, if that is possible: a guest waits
   * for it now.
   */
  promote?(offset: number, lengthBytes: number): void;
}
