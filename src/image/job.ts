/** Long work on one image, with progress: warming and verifying. */

import type { VerifyResult, WarmResult } from '../admin/schema-image.js';
import { displayUrl } from '../base/display-url.js';
import { AbortedError, CopseError } from '../base/error.js';
import type { JobOptions } from '../base/job.js';
import { ChunkState } from '../base/native/chunk.js';
import { formatSize } from '../base/size.js';
import { fill } from '../cache/fill.js';
import type { Content } from './content.js';

/**
 * Brings the whole image into the cache. A chunk that can't be stored ends the job with the cache's
 * reason.
 *
 * @throws CopseError `ERR_CACHE_FULL` if its own first chunks had to make room for the last ones
 */
export async function warm(content: Content, { signal, onProgress, deadlineMs }: JobOptions & { deadlineMs: number }): Promise<WarmResult> {
  const totalBytes = content.spec.sizeBytes;
  const fetchedBefore = content.cache.metrics.fetchedBytes;
  await fill(content.cache, 0, totalBytes, { signal, deadlineMs, onProgress: (doneBytes) => onProgress({ doneBytes, totalBytes }) });
  const { store } = content.cache;
  const heldBytes = store.dataBytes + store.zeroBytes;
  if (heldBytes < totalBytes) {
    throw new CopseError(
      'ERR_CACHE_FULL',
      `${displayUrl(content.spec.url)}: the whole image was fetched, but only ${formatSize(heldBytes)} of ${formatSize(totalBytes)} are kept: the rest was evicted to hold the cache's budget and the floor of free space; raise --cache-size or lower --min-free`,
    );
  }
  return { doneBytes: totalBytes, totalBytes, fetchedBytes: content.cache.metrics.fetchedBytes - fetchedBefore };
}

/**
 * Compares every cached chunk with its checksum. A chunk that differs is dropped, and fetched again
 * on demand.
 */
export async function verify(content: Content, { signal, onProgress }: JobOptions): Promise<VerifyResult> {
  const { store } = content.cache;
  const totalBytes = store.dataBytes;
  let doneBytes = 0;
  let droppedBytes = 0;
  for (let chunk = 0; chunk < store.chunkCount; chunk += 1) {
    if (signal.aborted) throw new AbortedError(`verification of ${displayUrl(content.spec.url)}`);
    const state = store.state(chunk);
    if (state !== ChunkState.present && state !== ChunkState.unverified) continue;
    if (!(await content.cache.verify(chunk))) droppedBytes += store.lengthOf(chunk);
    doneBytes = Math.min(totalBytes, doneBytes + store.lengthOf(chunk));
    onProgress({ doneBytes, totalBytes });
  }
  return { doneBytes, totalBytes, droppedBytes };
}
