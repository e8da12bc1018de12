/** Reads an image from its first byte to its last, and makes its manifest. */

import { unwatchAbort, watchAbort } from '../base/abort.js';
import { AbortedError } from '../base/error.js';
import { MiB } from '../base/size.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { RangeSink } from '../block/sink.js';
import { OriginError } from '../origin/origin.js';
import { ChunkGatherer } from './chunk-gatherer.js';
import type { ManifestHeader } from './format.js';
import { type Manifest, ManifestBuilder } from './manifest.js';

/** Long enough that latency hardly counts; a multiple of every chunk size. */
const stepBytes = 1 * MiB;
/** Reads under way at once. */
const stepsAtOnce = 8;

/** A source that delivers ranges: an origin, a cache. */
export interface SealSource {
  read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions): Promise<void>;
}

export interface SealOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/**
 * Makes one pass over the image. The first read that fails ends it.
 *
 * @throws ManifestError `ERR_MANIFEST` if such an image can have no manifest, AbortedError, what
 * the source's reads reject with
 */
export async function seal(source: SealSource, header: ManifestHeader, options: SealOptions = {}): Promise<Manifest> {
  const builder = new ManifestBuilder(header);
  const { sizeBytes, chunkBytes } = header;
  const ended = new AbortController();
  const onAbort = (): void => ended.abort(options.signal?.reason);
  if (options.signal?.aborted) onAbort();
  else watchAbort(options.signal, onAbort);
  let next = 0;
  let doneBytes = 0;
  const work = async (): Promise<void> => {
    while (next < sizeBytes) {
      if (ended.signal.aborted) throw new AbortedError('sealing', { cause: ended.signal.reason });
      const offset = next;
      const lengthBytes = Math.min(stepBytes, sizeBytes - offset);
      next += lengthBytes;
      const gatherer = new ChunkGatherer(chunkBytes, offset, lengthBytes, (chunkIndex, _lengthBytes, bytes) => {
        if (bytes === undefined) builder.addZero(chunkIndex);
        else builder.add(chunkIndex, bytes);
      });
      try {
        await source.read(offset, lengthBytes, gatherer, { signal: ended.signal });
        if (!gatherer.isComplete) throw new OriginError('ERR_ORIGIN_PROTOCOL', `fewer than ${lengthBytes} bytes came at ${offset}`);
      } finally {
        gatherer.release();
      }
      doneBytes += lengthBytes;
      options.onProgress?.(doneBytes, sizeBytes);
    }
  };
  const workers = Array.from({ length: stepsAtOnce }, work);
  try {
    await Promise.all(workers);
    if (ended.signal.aborted) throw new AbortedError('sealing', { cause: ended.signal.reason });
  } finally {
    // A seal that has failed needs no further reads.
    ended.abort();
    unwatchAbort(options.signal, onAbort);
    await Promise.allSettled(workers);
  }
  return builder.build();
}
