/**
 * The files that the origin serves, made once and kept.
 *
 * Content is pseudo-random: chunks of zeros are a state in Copse and no data, they would flatter it.
 */
import { createCipheriv } from 'node:crypto';
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GiB, MiB } from '../../../src/base/size.js';

export interface ImageFile {
  /** File name under the origin's root. */
  name: string;
  path: string;
  sizeBytes: number;
  /** Bytes at the start that are data; the rest is a hole. */
  dataBytes: number;
}

/** 1 GiB of data. The recorded boot traces lie within it. */
export function fullImage(dir: string): Promise<ImageFile> {
  return imageFile(dir, { name: 'full.raw', sizeBytes: GiB, dataBytes: GiB });
}

/** 10 GiB of which the first 64 MiB are data. */
export function sparseImage(dir: string): Promise<ImageFile> {
  return imageFile(dir, { name: 'sparse.raw', sizeBytes: 10 * GiB, dataBytes: 64 * MiB });
}

/** What disks are made over: 4 GiB, all data or none. */
export function baseImage(dir: string, content: 'data' | 'sparse'): Promise<ImageFile> {
  return imageFile(dir, { name: `base-${content}.raw`, sizeBytes: 4 * GiB, dataBytes: content === 'data' ? 4 * GiB : 0 });
}

/** 100 GiB of which the first 64 MiB are data. */
export function hugeImage(dir: string): Promise<ImageFile> {
  return imageFile(dir, { name: 'huge.raw', sizeBytes: 100 * GiB, dataBytes: 64 * MiB });
}

/** @returns the file, made if it isn't there in that size */
export async function imageFile(dir: string, shape: Omit<ImageFile, 'path'>): Promise<ImageFile> {
  const path = join(dir, shape.name);
  const known = await stat(path).catch(() => undefined);
  if (known?.size === shape.sizeBytes) return { ...shape, path };
  await mkdir(dir, { recursive: true });
  // AES-CTR over zeros: the same bytes on each machine, and nothing in them compresses or repeats.
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'copse bench'), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 * MiB);
  const partial = `${path}.partial`;
  const file = await open(partial, 'w');
  try {
    for (let done = 0; done < shape.dataBytes; done += zeros.length) await file.write(cipher.update(zeros));
    await file.truncate(shape.sizeBytes);
    await file.datasync(); // else its writeback falls into the first measurements
  } finally {
    await file.close();
  }
  await rename(partial, path);
  return { ...shape, path };
}
