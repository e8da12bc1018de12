/** Warms a whole cluster: brings each chunk of an image to its home, once. */

import type { WarmResult } from '../admin/schema-image.js';
import { displayUrl } from '../base/display-url.js';
import { CopseError } from '../base/error.js';
import type { JobOptions } from '../base/job.js';
import type { Neighbourhood } from '../cluster/neighbourhood.js';
import { extentsOf, spread } from '../cluster/spread.js';
import type { Content } from './content.js';

/**
 * @throws CopseError `ERR_NOT_SHARED`; errors of this node's cache for the chunks that it is home
 *   to
 */
export async function warmCluster(
  content: Content,
  neighbourhood: Neighbourhood,
  { signal, onProgress, deadlineMs }: JobOptions & { deadlineMs: number },
): Promise<WarmResult> {
  const { clustered, spec } = content;
  if (clustered === undefined) {
    throw new CopseError(
      'ERR_NOT_SHARED',
      `${displayUrl(spec.url)} is not shared in the cluster ("copse image status" says why): warm it on each host that needs it, without --cluster`,
    );
  }
  const totalBytes = spec.sizeBytes;
  const before = content.meter.bytes;
  let doneBytes = 0;
  await spread({
    clustered,
    neighbourhood,
    ranges: extentsOf(clustered),
    keep: ({ offset, lengthBytes }) => content.cache.ensure(offset, lengthBytes, { role: 'home', background: true, deadlineMs, signal }),
    signal,
    onDone: ({ lengthBytes }) => {
      doneBytes += lengthBytes;
      onProgress({ doneBytes, totalBytes });
    },
  });
  // Other homes count the bytes that they fetch themselves.
  return { doneBytes, totalBytes, fetchedBytes: content.meter.bytes - before };
}
