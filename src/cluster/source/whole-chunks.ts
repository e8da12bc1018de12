/**
 * Passes on only the whole chunks that one peer sends.
 *
 * When to use: for chunks without a verifier. A peer that breaks off, or is caught with an answer
 * of the wrong length, has sent part of a chunk. That part is never completed from another source:
 * the two might be of different versions. Cost: a copy of chunks that come in more than one piece.
 */
import type { RangeSink } from '../../block/sink.js';
import { ChunkGatherer } from '../../manifest/chunk-gatherer.js';

/** Makes a sink that passes a range of whole chunks into `sink`. `release` it after the read. */
export function wholeChunks(sink: RangeSink, chunkBytes: number, offset: number, lengthBytes: number): ChunkGatherer {
  return new ChunkGatherer(chunkBytes, offset, lengthBytes, (_chunkIndex, chunkLengthBytes, bytes) => {
    if (bytes === undefined) sink.zeroes(chunkLengthBytes);
    else sink.data(bytes);
  });
}
