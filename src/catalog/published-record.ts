/**
 * The part of an image's record that leaves this host for its peers, and the part that a node takes
 * of a peer's record.
 *
 * Invariants: no URL that leaves holds a user, a password or a query. An image that is not shared
 * does not leave at all. Of a peer's record a node takes the pin of the bytes, and never a URL, a
 * path or a policy: those are its own.
 */

import { checkChunkSize } from '../base/chunk-size.js';
import { displayUrl } from '../base/display-url.js';
import type { ContentSpec, ImageRecord } from './image-record.js';

/** @returns `undefined` for an image that says `share = "never"` */
export function publishedRecord(record: ImageRecord): ImageRecord | undefined {
  return record.share === 'never' ? undefined : { ...record, content: published(record.content) };
}

function published(spec: ContentSpec): ContentSpec {
  const { url, manifest, backing } = spec;
  return {
    ...spec,
    url: displayUrl(url),
    ...(manifest && { manifest: { ...manifest, url: manifest.url === undefined ? undefined : displayUrl(manifest.url) } }),
    ...(backing && { backing: Object.fromEntries(Object.entries(backing).map(([file, below]) => [file, published(below)])) }),
  };
}

/** Statements of this node about the image. */
export interface OwnWords {
  url: string;
  manifest: ContentSpec['manifest'];
  backing: ContentSpec['backing'];
  backingImages: ImageRecord['backingImages'];
  deadlineMs: number | undefined;
  share: ImageRecord['share'];
}

/**
 * Makes the record under which this node serves what a peer has pinned.
 *
 * @returns `undefined` if the peer's record pins nothing that could be behind the URL
 * @throws CopseError `ERR_OPTION` on an impossible chunk size
 */
export function adoptedRecord({ name, pinnedAt, content: pinned }: ImageRecord, words: OwnWords): ImageRecord | undefined {
  const { url, manifest, backing, backingImages, deadlineMs, share } = words;
  const { identity, format, chunkSizeBytes } = pinned;
  const sizeBytes = format === 'raw' ? identity.sizeBytes : pinned.sizeBytes;
  if (displayUrl(url) !== displayUrl(pinned.url) || ![identity.sizeBytes, sizeBytes].every(isSize)) return undefined;
  checkChunkSize(chunkSizeBytes);
  const content: ContentSpec = { url, identity, format, sizeBytes, chunkSizeBytes, manifest, backing };
  const pinnedMs = Date.parse(pinnedAt);
  const pinnedOn = Number.isNaN(pinnedMs) ? new Date() : new Date(pinnedMs);
  return { version: 1, name, content, deadlineMs, backingImages, share, pinnedAt: pinnedOn.toISOString() };
}

function isSize(sizeBytes: number): boolean {
  return Number.isSafeInteger(sizeBytes) && sizeBytes > 0;
}
