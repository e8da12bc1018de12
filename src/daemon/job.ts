/** Long work on one image, with progress: warming and verifying. */
import type { JobOptions, VerifyResult, WarmResult } from '../admin/control.js';
import { AbortedError } from '../base/error.js';
import { ChunkState } from '../base/native.js';
import { fill } from '../cache/fill.js';
import type { Content } from './content.js';

/** Brings the whole image into the cache. A chunk that can't be kept ends it, with the cache's reason. */
export async function warm(content: Content, { signal, onProgress }: JobOptions): Promise<WarmResult> {
  const totalBytes = content.spec.sizeBytes;
  const fetchedBefore = content.cache.metrics.fetchedBytes;
  await fill(content.cache, 0, totalBytes, { signal, onProgress: (doneBytes) => onProgress({ doneBytes, totalBytes }) });
  return { doneBytes: totalBytes, totalBytes, fetchedBytes: content.cache.metrics.fetchedBytes - fetchedBefore };
}

/** Compares every cached chunk with its checksum; what does not match is dropped and fetched again when it is next read. */
export async function verify(content: Content, { signal, onProgress }: JobOptions): Promise<VerifyResult> {
  const { store } = content.cache;
  const totalBytes = store.dataBytes;
  let doneBytes = 0;
  let droppedBytes = 0;
  for (let chunk = 0; chunk < store.chunkCount; chunk += 1) {
    if (signal.aborted) throw new AbortedError(`verification of ${content.spec.url}`);
    const state = store.state(chunk);
    if (state !== ChunkState.present && state !== ChunkState.unverified) continue;
    if (!(await content.cache.verify(chunk))) droppedBytes += store.lengthOf(chunk);
    doneBytes = Math.min(totalBytes, doneBytes + store.lengthOf(chunk));
    onProgress({ doneBytes, totalBytes });
  }
  return { doneBytes, totalBytes, droppedBytes };
}
