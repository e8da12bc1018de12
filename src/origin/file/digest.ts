/** Computes the digest of all bytes of an origin, from the first to the last. */

import { DigestBuilder } from '../../base/digest.js';
import { MiB } from '../../base/size.js';
import type { RangeSink } from '../../block/sink.js';
import type { Origin } from '../origin.js';

/**
 * Bytes per step. Hashing a step takes some milliseconds, and other work has a turn between two.
 */
const stepBytes = 4 * MiB;
const zeros = Buffer.alloc(256 * 1024);

export interface DigestOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

/** `blake3:…`. @throws what `read` rejects with */
export async function digestOfOrigin(origin: Origin, options: DigestOptions = {}): Promise<string> {
  const builder = new DigestBuilder();
  const sink: RangeSink = {
    data: (piece) => builder.update(piece),
    zeroes: (lengthBytes) => {
      for (let left = lengthBytes; left > 0; left -= zeros.length) builder.update(zeros.subarray(0, Math.min(left, zeros.length)));
    },
  };
  const { sizeBytes } = origin;
  for (let at = 0; at < sizeBytes; at += stepBytes) {
    await origin.read(at, Math.min(stepBytes, sizeBytes - at), sink, { signal: options.signal });
    options.onProgress?.(Math.min(at + stepBytes, sizeBytes), sizeBytes);
  }
  return builder.digest();
}
