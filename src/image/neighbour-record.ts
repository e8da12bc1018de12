/**
 * Looks among peers for one that serves the image that a request asks for, for a node that can't
 * ask the origin.
 *
 * Invariant: of a peer's record this node takes what pins the bytes. URL, deadline, backing files
 * and sharing are the request's own.
 */
import type { ImageAddRequest } from '../admin/schema-image.js';
import { hidesSecret } from '../base/display-url.js';
import { errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';
import { clusterIdOf } from '../catalog/cluster-id.js';
import type { ContentSpec, ImageRecord } from '../catalog/image-record.js';
import { adoptedRecord } from '../catalog/published-record.js';
import type { PeerPolicy } from '../config/schema.js';
import { originKind } from '../origin/url.js';
import { differenceOf } from './request.js';

export interface RecordSearch {
  /** Peers that are up. */
  peers: readonly { id: string; address: string }[];
  policy: PeerPolicy;
  /** Asks a peer for its record of an image. */
  fetch(address: string, name: string): Promise<ImageRecord>;
  /** This node's own record of an image of that name. */
  recordOf(name: string): ImageRecord | undefined;
  /** True if the peer says that it serves the content of that id. */
  serves(peerId: string, contentId: string): boolean;
  log: Logger;
}

/** @returns a record for this node's catalog; `undefined` if no peer serves the image */
export async function findRecord(request: ImageAddRequest, search: RecordSearch): Promise<ImageRecord | undefined> {
  for (const { id, address } of search.peers) {
    try {
      const record = adopt(await search.fetch(address, request.name), request, search);
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
  // The peer's manifest and backing files must be those of the request.
  const said = { ...theirs, content: { ...theirs.content, url }, share };
  return differenceOf(said, request) === undefined ? record : undefined;
}

/**
 * Peers send URLs without secrets, so two images may differ in the part that was left out. The
 * content's id stands for the whole URL, or for bytes that a digest guards. So the peer must say
 * that it serves that id.
 */
function isServed({ content, share }: ImageRecord, peerId: string, { policy, serves }: RecordSearch): boolean {
  const { id } = clusterIdOf(content, { share, peers: policy });
  return id !== undefined && (!hidesSecret(content.url) || serves(peerId, id));
}
