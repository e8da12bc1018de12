/**
 * Size of a chunk, the unit of fetching, caching and sealing. The one place that says which sizes
 * there can be.
 */
import { CopseError } from './error.js';
import { formatSize, KiB, MiB } from './size.js';

const minBytes = 64 * KiB;
const maxBytes = MiB;

export function isChunkSize(sizeBytes: number): boolean {
  return sizeBytes >= minBytes && sizeBytes <= maxBytes && Number.isInteger(Math.log2(sizeBytes));
}

/**
 * Checks a size that an operator or another node gave.
 *
 * @param options `written` is the size as it was given, `code` that of the error, `ERR_OPTION` by
 *   default
 * @throws CopseError unless it is a power of two from 64 KiB to 1 MiB
 */
export function checkChunkSize(
  sizeBytes: number,
  { code = 'ERR_OPTION', written = formatSize(sizeBytes) }: { code?: 'ERR_OPTION' | 'ERR_SIZE'; written?: string } = {},
): number {
  if (isChunkSize(sizeBytes)) return sizeBytes;
  throw new CopseError(code, `"${written}" is not a chunk size: write a power of two from 64K to 1M, as in 256K`);
}
