/** An image as a read-only block device, served by its cache. */

import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import type { RequestOptions } from '../block/read-options.js';
import type { ChunkCache } from '../cache/chunk-cache.js';
import { fill } from '../cache/fill.js';
import type { BlockDevice, DeviceFeatures } from '../device/device.js';
import { FastAccess, type FastFiles } from '../device/fast-access.js';
import { ReadOnlyDevice } from '../device/read-only.js';

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class ImageDevice extends ReadOnlyDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly features = features;
  readonly fast: FastAccess;
  readonly #cache: ChunkCache;
  #isClosed = false;

  /** @param cache closed by the device */
  constructor(cache: ChunkCache) {
    super('images are');
    this.#cache = cache;
    this.sizeBytes = cache.store.sizeBytes;
    this.fast = new FastAccess({
      offer: () => {
        const { files } = this;
        return files && { ...files, writable: false };
      },
    });
  }

  get files(): FastFiles | undefined {
    const image = this.#isClosed ? undefined : this.#cache.file;
    return image && { overlay: undefined, image };
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#cache.readNow(target, targetStart, lengthBytes, offset);
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#cache.isZeroNow(offset, lengthBytes);
  }

  read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place> {
    return this.#cache.read(target, offset, options);
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

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.fast.isUsed) await this.fast.refresh();
    await this.#cache.close();
  }
}
