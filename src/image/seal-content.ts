/**
 * Sealing what this node serves: read by way of its cache, so that the origin sends what is not here yet, once.
 *
 * Invariant: the manifest is of exactly the pinned content. It goes to the node's store, so that the image can be added by its digest alone, here and on the node's peers.
 */

import type { SealResult } from '../admin/schema-image.js';
import type { JobOptions } from '../base/job.js';
import { seal } from '../manifest/seal.js';
import type { ManifestStore } from '../manifest/store.js';
import { CachedOrigin } from './cached-origin.js';
import type { Content } from './content.js';

/**
 * @param content raw: of a foreign format the container
 * @throws as reads of the content do, `ERR_ABORTED`, `ERR_STATE`
 */
export async function sealContent(content: Content, store: ManifestStore, { signal, onProgress }: JobOptions): Promise<SealResult> {
  const { sizeBytes, chunkSizeBytes: chunkBytes } = content.spec;
  const sealOptions = { signal, onProgress: (doneBytes: number, totalBytes: number) => onProgress({ doneBytes, totalBytes }) };
  const { digest } = await store.put(await seal(new CachedOrigin(content), { sizeBytes, chunkBytes }, sealOptions));
  return { doneBytes: sizeBytes, totalBytes: sizeBytes, manifestPath: store.pathOf(digest), digest };
}
