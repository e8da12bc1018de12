/**
 * Compares requests to add an image with records: the request that would make a record again, and
 * the difference of another request.
 */
import type { ImageAddRequest } from '../admin/schema-image.js';
import { displayUrl } from '../base/display-url.js';
import type { ImageRecord } from '../catalog/image-record.js';

/**
 * Returns the request that pins the present content of a record's origin, by the same manifest if
 * there is one.
 */
export function requestOf(record: ImageRecord): ImageAddRequest {
  const { content } = record;
  return {
    name: record.name,
    url: content.url,
    format: content.format,
    chunkSizeBytes: content.chunkSizeBytes,
    deadlineMs: record.deadlineMs,
    backing: record.backingImages,
    manifest: content.manifest?.url,
    digest: content.manifest?.digest,
    share: record.share,
  };
}

/**
 * Returns the first difference between a request and a record, for people; `undefined` if they mean
 * the same. The deadline and the manifest's URL don't count.
 */
export function differenceOf(record: ImageRecord, request: ImageAddRequest): string | undefined {
  const { content } = record;
  const { manifest } = content;
  if (request.url !== content.url) return `URL is ${displayUrl(content.url)}`;
  if (request.format !== undefined && request.format !== content.format) return `format is ${content.format}`;
  if (request.chunkSizeBytes !== undefined && request.chunkSizeBytes !== content.chunkSizeBytes) {
    return `chunk size is ${content.chunkSizeBytes}`;
  }
  if (JSON.stringify(request.backing ?? {}) !== JSON.stringify(record.backingImages ?? {})) return 'backing files are others';
  if (request.digest !== manifest?.digest) return manifest === undefined ? 'bytes are not sealed' : `manifest is ${manifest.digest}`;
  if (request.share !== undefined && request.share !== (record.share ?? 'auto')) return `share is ${record.share ?? 'auto'}`;
  return undefined;
}
