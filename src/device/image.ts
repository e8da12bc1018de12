/** An image as a read-only block device: what its cache answers. */
import { CopseError } from '../base/error.js';
import type { ChunkCache } from '../cache/chunk-cache.js';
import { fill } from '../cache/fill.js';
import type { BlockDevice, BlockSize, CachedExtent, DeviceFeatures, Extent, RequestOptions, Source } from './device.js';

/** Any offset and length is served; 4 KiB is what guests and the page cache work in. */
export const blockSize: BlockSize = { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 1024 * 1024 };

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class ImageDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSize = blockSize;
  readonly features = features;
  readonly #cache: ChunkCache;

  /** The cache is the device's to close. */
  constructor(cache: ChunkCache) {
    this.#cache = cache;
    this.sizeBytes = cache.store.sizeBytes;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#cache.readNow(target, targetStart, lengthBytes, offset);
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#cache.isZeroNow(offset, lengthBytes);
  }

  read(target: Buffer, offset: number, options?: RequestOptions): Promise<Source> {
    return this.#cache.read(target, offset, options);
  }

  write(): Promise<void> {
    return Promise.reject(readOnlyError());
  }

  writeZeroes(): Promise<void> {
    return Promise.reject(readOnlyError());
  }

  trim(): Promise<void> {
    return Promise.reject(readOnlyError());
  }

  /** Nothing was written, so everything is durable. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return Promise.resolve(this.#cache.extents(offset, lengthBytes, maxCount));
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#cache.cachedExtents(offset, lengthBytes, maxCount);
  }

  cache(offset: number, lengthBytes: number, options?: RequestOptions): Promise<void> {
    return fill(this.#cache, offset, lengthBytes, options);
  }

  close(): Promise<void> {
    return this.#cache.close();
  }
}

function readOnlyError(): CopseError {
  return new CopseError('EROFS', 'images are read-only');
}
