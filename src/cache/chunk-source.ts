/**
 * The room to the cache's right, as the cache sees it: somebody who delivers a range of the image, every byte of it right, or fails. An origin with
 * retries fits; so does a cluster of peers.
 */

import type { SourceReadOptions } from '../block/read-options.js';
import type { PlacedSink } from '../block/sink.js';

export interface ChunkSource {
  /** The sink takes the range in order, and where it comes from, if the source tells. */
  read(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void>;
  /** Somebody has come to wait for a range that is being read with a lesser priority: have it hurried, if that can be. */
  promote?(offset: number, lengthBytes: number): void;
}
