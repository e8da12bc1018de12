/**
 * A read-only device with a few bytes replaced. A decoder sees its container so, when a name inside
 * must be blanked out.
 *
 * When to use: for private exports that need patches. Cost: no read is answered at once from the
 * page cache.
 *
 * Invariant: patched bytes never read as the bytes below, be those data or zeros.
 */

import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import type { RequestOptions } from '../block/read-options.js';
import type { BlockDevice, BlockSize, DeviceFeatures } from '../device/device.js';
import type { Patch } from '../origin/format/layer.js';
import { applyPatches, isPatched } from '../origin/format/patch.js';

export class PatchedDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSize: BlockSize;
  readonly features: DeviceFeatures;
  readonly #below: BlockDevice;
  readonly #patches: readonly Patch[];

  /** @param below read-only; its owner closes it */
  constructor(below: BlockDevice, patches: readonly Patch[]) {
    this.sizeBytes = below.sizeBytes;
    this.blockSize = below.blockSize;
    this.features = below.features;
    this.#below = below;
    this.#patches = patches;
  }

  readNow(): boolean {
    return false;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return !isPatched(this.#patches, offset, lengthBytes) && this.#below.isZeroNow(offset, lengthBytes);
  }

  async read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place> {
    const source = await this.#below.read(target, offset, options);
    applyPatches(this.#patches, target, offset);
    return source;
  }

  write(): Promise<void> {
    return this.#below.write(Buffer.alloc(0), 0);
  }

  writeZeroes(): Promise<void> {
    return this.#below.writeZeroes(0, 0);
  }

  trim(): Promise<void> {
    return this.#below.trim(0, 0);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  /** A range with a patch counts as data. */
  async extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]> {
    if (isPatched(this.#patches, offset, lengthBytes)) return [{ lengthBytes, zero: false, hole: false }];
    return this.#below.extents(offset, lengthBytes, maxCount, options);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#below.cachedExtents(offset, lengthBytes, maxCount);
  }

  cache(offset: number, lengthBytes: number, options?: RequestOptions): Promise<void> {
    return this.#below.cache(offset, lengthBytes, options);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
