/** Requests to add an image beside the records that came of them: what would make the same again, and whether another request means the same. */
import type { ImageAddRequest } from '../admin/schema-image.js';
import { displayUrl } from '../base/display-url.js';
import type { ImageRecord } from '../catalog/image-record.js';

/** Pins what the origin has now, by the same manifest if there is one. */
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

/** What of a request is not as in the record, for people; `undefined` when they mean the same. The deadline and where the manifest lies count for nothing. */
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
