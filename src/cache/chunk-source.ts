/**
 * The room to the cache's right, as the cache sees it: somebody who delivers a range of the image, every byte of it right, or fails. An origin with
 * retries fits; so does a cluster of peers.
 */
import type { SourcedSink } from '../cluster/sink.js';
import type { OriginReadOptions } from '../origin/origin.js';

export interface ChunkSource {
  /** The sink takes the range in order, and where it comes from, if the source tells. */
  read(offset: number, lengthBytes: number, sink: SourcedSink, options: OriginReadOptions): Promise<void>;
  /** Somebody has come to wait for a range that is being read with a lesser priority: have it hurried, if that can be. */
  promote?(offset: number, lengthBytes: number): void;
}
