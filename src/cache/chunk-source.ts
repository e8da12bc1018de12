/**
 * The room to the cache's right, as the cache sees it: somebody who delivers a range of the image, whole and verified, or fails. An origin with
 * retries fits; so does a cluster of peers.
 */
import type { OriginReadOptions, RangeSink } from '../origin/origin.js';

export interface ChunkSource {
  read(offset: number, lengthBytes: number, sink: RangeSink, options: OriginReadOptions): Promise<void>;
}
