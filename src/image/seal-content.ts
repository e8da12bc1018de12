/**
 * Seals a content of this node. It is read through its cache, so that the origin sends missing
 * chunks once.
 *
 * Invariant: the manifest belongs to exactly the pinned content. It goes to the node's store, so
 * that this node and its peers can add the image by its digest alone.
 */

import type { SealResult } from '../admin/schema-image.js';
import type { JobOptions } from '../base/job.js';
import { seal } from '../manifest/seal.js';
import type { ManifestStore } from '../manifest/store.js';
import { CachedOrigin } from './cached-origin.js';
import type { Content } from './content.js';

/**
 * @param content raw content; of a foreign format its container
 * @throws the errors of reads of the content; `ERR_ABORTED`, `ERR_STATE`
 */
export async function sealContent(content: Content, store: ManifestStore, { signal, onProgress }: JobOptions): Promise<SealResult> {
  const { sizeBytes, chunkSizeBytes: chunkBytes } = content.spec;
  const sealOptions = { signal, onProgress: (doneBytes: number, totalBytes: number) => onProgress({ doneBytes, totalBytes }) };
  const { digest } = await store.put(await seal(new CachedOrigin(content), { sizeBytes, chunkBytes }, sealOptions));
  return { doneBytes: sizeBytes, totalBytes: sizeBytes, manifestPath: store.pathOf(digest), digest };
}
