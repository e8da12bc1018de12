/**
 * Checks that an image file on this host has all the bytes that its tables name, before a program
 * copies its content.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { checkReach } from './guard/reach/reach.js';

/**
 * @param path absolute path
 * @param format name as qemu-img has it; a format whose tables Copse can't read passes
 * @throws OriginError `ERR_FORMAT` if the file is cut off; else as opening and reading the file do
 */
export async function checkImageFile(path: string, format: string, signal?: AbortSignal): Promise<void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const read = (offset: number, lengthBytes: number): Promise<Buffer> => readAt(file, offset, lengthBytes, signal);
    await checkReach(format, { url: path, sizeBytes: size, read }, true);
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, offset: number, lengthBytes: number, signal: AbortSignal | undefined): Promise<Buffer> {
  signal?.throwIfAborted();
  const { bytesRead, buffer } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offset);
  return buffer.subarray(0, bytesRead);
}
