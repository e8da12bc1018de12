/** Long work on one image, with progress: warming and verifying. */
import type { JobOptions, VerifyResult, WarmResult } from '../admin/control.js';
import { AbortedError } from '../base/error.js';
import { ChunkState } from '../base/native.js';
import { MiB } from '../base/size.js';
import type { Content } from './content.js';

/** What is asked for at once: enough to keep the origin busy, little enough to leave it to guests. */
const stepBytes = 4 * MiB;
const stepsAtOnce = 4;

/** Brings the whole image into the cache. A chunk that can't be kept ends it, with the cache's reason. */
export async function warm(content: Content, { signal, onProgress }: JobOptions): Promise<WarmResult> {
  const totalBytes = content.spec.sizeBytes;
  const fetchedBefore = content.cache.metrics.fetchedBytes;
  let next = 0;
  let doneBytes = 0;
  const work = async (): Promise<void> => {
    while (next < totalBytes) {
      const offset = next;
      const lengthBytes = Math.min(stepBytes, totalBytes - offset);
      next += lengthBytes;
      await content.cache.ensure(offset, lengthBytes, { signal });
      doneBytes += lengthBytes;
      onProgress({ doneBytes, totalBytes });
    }
  };
  await Promise.all(Array.from({ length: stepsAtOnce }, work));
  return { doneBytes, totalBytes, fetchedBytes: content.cache.metrics.fetchedBytes - fetchedBefore };
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
