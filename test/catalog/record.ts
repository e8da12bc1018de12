/** Records for the tests of this room. */
import type { ImageRecord } from '../../src/catalog/image-record.js';

/** @param etag two records with the same one have the same content */
export function record(name: string, etag = '"x"', changes: Partial<ImageRecord> = {}): ImageRecord {
  return {
    version: 1,
    name,
    content: {
      url: `https://images.example/${name}`,
      identity: { kind: 'http', sizeBytes: 1000, etag },
      format: 'raw',
      sizeBytes: 1000,
      chunkSizeBytes: 65_536,
    },
    pinnedAt: '2026-11-01T00:00:00.000Z',
    ...changes,
  };
}
