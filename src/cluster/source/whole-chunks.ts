/**
 * Passes on whole chunks alone of what one peer sends.
 *
 * When to use: where nothing verifies the chunks. A peer that breaks off, or is caught with an answer of the wrong length, has sent part of a chunk, which is never put
 * together with the rest from somebody else: the two might be of different versions. Cost: a copy of those chunks that come in more than one piece.
 */
import type { RangeSink } from '../../block/sink.js';
import { ChunkGatherer } from '../../manifest/chunk-gatherer.js';

/** A range of whole chunks into `sink`; `release` it when the read is over. */
export function wholeChunks(sink: RangeSink, chunkBytes: number, offset: number, lengthBytes: number): ChunkGatherer {
  return new ChunkGatherer(chunkBytes, offset, lengthBytes, (_chunkIndex, chunkLengthBytes, bytes) => {
    if (bytes === undefined) sink.zeroes(chunkLengthBytes);
    else sink.data(bytes);
  });
}
