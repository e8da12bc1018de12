/** Looks among peers for one that serves what a request to add an image asks for: for a node that can't ask the origin. */
import type { ImageAddRequest } from '../../admin/schema-image.js';
import { hidesSecret } from '../../base/display-url.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { clusterIdOf } from '../../catalog/cluster-id.js';
import type { ContentSpec, ImageRecord } from '../../catalog/image-record.js';
import { adoptedRecord } from '../../catalog/published-record.js';
import type { PeerPolicy } from '../../config/schema.js';
import { differenceOf } from '../../image/request.js';
import { originKind } from '../../origin/url.js';
import { fetchRecord } from '../../peer/client/record-fetcher.js';

export interface RecordSearch {
  /** Peers that are up. */
  peers: readonly { id: string; address: string }[];
  policy: PeerPolicy;
  /** What this node's catalog has under a name. */
  recordOf(name: string): ImageRecord | undefined;
  /** True if the peer says that it serves the content of that id. */
  serves(peerId: string, contentId: string): boolean;
  log: Logger;
}

/** @returns a record of this node's own: of the peer's it has what pins the bytes. `undefined`: nobody serves that */
export async function findRecord(request: ImageAddRequest, search: RecordSearch): Promise<ImageRecord | undefined> {
  for (const { id, address } of search.peers) {
    try {
      const record = adopt(await fetchRecord(address, request.name), request, search);
      if (record !== undefined && isServed(record, id, search)) return record;
    } catch (error) {
      search.log.debug({ peer: id, image: request.name, reason: errorMessage(error) }, 'no record of the image from there');
    }
  }
  return undefined;
}

function adopt(theirs: ImageRecord, request: ImageAddRequest, { recordOf }: RecordSearch): ImageRecord | undefined {
  const { url, digest, manifest, backing: backingImages, deadlineMs, share } = request;
  const backing: Record<string, ContentSpec> = {};
  for (const [file, name] of Object.entries(backingImages ?? {})) {
    const below = recordOf(name)?.content;
    if (below === undefined) return undefined;
    backing[file] = below;
  }
  const record = adoptedRecord(theirs, {
    url,
    manifest: digest === undefined ? undefined : { digest, ...(manifest === undefined ? {} : { url: manifest }) },
    backing: backingImages === undefined || theirs.content.format === 'raw' ? undefined : backing,
    backingImages,
    deadlineMs,
    share,
  });
  if (record === undefined || record.content.identity.kind !== originKind(url)) return undefined;
  // What the peer says of its manifest and backing files must be what the request says.
  const said = { ...theirs, content: { ...theirs.content, url }, share };
  return differenceOf(said, request) === undefined ? record : undefined;
}

/**
 * A URL with a secret is not compared whole, because the peer does not send it: two images may differ in the query alone. The content's id
 * stands for all of the URL, or for bytes that a digest guards, so the peer must say that it serves that id.
 */
function isServed({ content, share }: ImageRecord, peerId: string, { policy, serves }: RecordSearch): boolean {
  const { id } = clusterIdOf(content, { share, peers: policy });
  return id !== undefined && (!hidesSecret(content.url) || serves(peerId, id));
}
