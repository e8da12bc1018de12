/**
 * Fetches the catalog's record of an image from a peer, over its export `image/NAME`. A node needs
 * it to add an image while the origin is away.
 */
import { CopseError } from '../../base/error.js';
import { type ImageRecord, imageRecordSchema } from '../../catalog/image-record.js';
import { fetchExport } from './export-fetcher.js';

/** Bound on the size of a record, in bytes. */
const maxBytes = 1024 * 1024;

/**
 * @throws what `fetchExport` throws; CopseError `ERR_IMAGE_RECORD` if the bytes are not a record,
 *   or the record of another image
 */
export async function fetchRecord(address: string, imageName: string, signal?: AbortSignal): Promise<ImageRecord> {
  const bytes = await fetchExport(address, { kind: 'image', name: imageName }, { maxBytes, signal });
  let record: ImageRecord | undefined;
  try {
    record = imageRecordSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new CopseError(
      'ERR_IMAGE_RECORD',
      `${address} sent bytes for image "${imageName}" that are not a record: compare the versions of the nodes`,
      { cause },
    );
  }
  if (record.name === imageName) return record;
  throw new CopseError('ERR_IMAGE_RECORD', `${address} sent the record of image "${record.name}" for "${imageName}"`);
}
