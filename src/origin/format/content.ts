/**
 * Positioned reads of an image file for detection and guard, which look at the same few bytes again
 * and again.
 *
 * Invariants: no read is longer than 1 MiB, whatever length an image claims; the first 64 KiB are
 * fetched once.
 */
import { type Origin, OriginError } from '../origin.js';
import { bufferSink } from '../sink.js';

/**
 * Reads up to `lengthBytes` at `offset`; the result is shorter only where the content ends. The
 * caller does not write to the Buffer.
 */
export type ReadContent = (offset: number, lengthBytes: number) => Promise<Buffer>;

export const headBytes = 64 * 1024;
const maxReadBytes = 1024 * 1024;

/** @throws OriginError as the origin's reads do, or `ERR_FORMAT` for a read over 1 MiB */
export function readContent(origin: Origin, signal?: AbortSignal): ReadContent {
  let head: Promise<Buffer> | undefined;
  const fetch = (offset: number, lengthBytes: number): Promise<Buffer> => collect(origin, offset, lengthBytes, signal);
  return async (offset, lengthBytes) => {
    if (lengthBytes > maxReadBytes || !Number.isSafeInteger(offset) || offset < 0) {
      throw new OriginError('ERR_FORMAT', `${origin.url}: its header points at ${lengthBytes} bytes at ${offset}: not a sane image`);
    }
    const endOffset = Math.min(offset + lengthBytes, origin.sizeBytes);
    if (offset >= endOffset) return Buffer.alloc(0);
    if (endOffset > headBytes) return fetch(offset, endOffset - offset);
    head ??= fetch(0, Math.min(headBytes, origin.sizeBytes));
    return (await head).subarray(offset, endOffset);
  };
}

async function collect(origin: Origin, offset: number, lengthBytes: number, signal?: AbortSignal): Promise<Buffer> {
  const target = Buffer.alloc(lengthBytes);
  await origin.read(offset, lengthBytes, bufferSink(target), { signal });
  return target;
}
