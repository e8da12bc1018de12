/** What a peer's catalog says of an image, over its export `image/NAME`. */
import { CopseError } from '../../base/error.js';
import { type ImageRecord, imageRecordSchema } from '../../catalog/image-record.js';
import { fetchExport } from './export-fetcher.js';

const maxBytes = 1024 * 1024;

/** @throws what `fetchExport` does; CopseError `ERR_IMAGE_RECORD` when it is none, or another's */
export async function fetchRecord(address: string, imageName: string, signal?: AbortSignal): Promise<ImageRecord> {
  const bytes = await fetchExport(address, { kind: 'image', name: imageName }, { maxBytes, signal });
  let record: ImageRecord | undefined;
  try {
    record = imageRecordSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new CopseError('ERR_IMAGE_RECORD', `${address} sent no record of image "${imageName}"`, { cause });
  }
  if (record.name === imageName) return record;
  throw new CopseError('ERR_IMAGE_RECORD', `${address} sent the record of image "${record.name}" for "${imageName}"`);
}
