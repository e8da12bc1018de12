/**
 * What lies below an overlay, as large as the disk: a base device, which may be smaller and end anywhere, and zeros beyond it. Without a base all is zeros.
 *
 * Invariant: the base is never asked for a byte beyond its end.
 */

import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice } from '../../device/device.js';

export class BelowOverlay {
  readonly #device: BlockDevice | undefined;

  /** The device stays its owner's to close. */
  constructor(device: BlockDevice | undefined) {
    this.#device = device;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    const { device, insideBytes } = this.#inside(offset, lengthBytes);
    if (device !== undefined && !device.readNow(target, targetStart, insideBytes, offset)) return false;
    if (insideBytes < lengthBytes) target.fill(0, targetStart + insideBytes, targetStart + lengthBytes);
    return true;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    const { device, insideBytes } = this.#inside(offset, lengthBytes);
    return device === undefined || device.isZeroNow(offset, insideBytes);
  }

  async read(target: Buffer, offset: number, options: RequestOptions): Promise<Place> {
    const { device, insideBytes } = this.#inside(offset, target.length);
    target.fill(0, insideBytes);
    return device === undefined ? 'cache' : await device.read(target.subarray(0, insideBytes), offset, options);
  }

  /** All of the range, unlike a device's: consecutive extents, adjacent ones may be alike. At most one more than `maxCount`. */
  async extents(offset: number, lengthBytes: number, maxCount: number, options: RequestOptions): Promise<Extent[]> {
    const { device, insideBytes } = this.#inside(offset, lengthBytes);
    const extents: Extent[] = [];
    let doneBytes = 0;
    while (device !== undefined && doneBytes < insideBytes && extents.length < maxCount) {
      for (const extent of await device.extents(offset + doneBytes, insideBytes - doneBytes, maxCount - extents.length, options)) {
        extents.push(extent);
        doneBytes += extent.lengthBytes;
      }
    }
    if (doneBytes === insideBytes && insideBytes < lengthBytes)
      extents.push({ lengthBytes: lengthBytes - insideBytes, zero: true, hole: true });
    return extents;
  }

  /** As `extents`. What is beyond the base's end is here. */
  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    const { device, insideBytes } = this.#inside(offset, lengthBytes);
    const extents: CachedExtent[] = [];
    let doneBytes = 0;
    while (device !== undefined && doneBytes < insideBytes && extents.length < maxCount) {
      for (const extent of device.cachedExtents(offset + doneBytes, insideBytes - doneBytes, maxCount - extents.length)) {
        extents.push(extent);
        doneBytes += extent.lengthBytes;
      }
    }
    if (doneBytes === insideBytes && insideBytes < lengthBytes) extents.push({ lengthBytes: lengthBytes - insideBytes, cached: true });
    return extents;
  }

  async cache(offset: number, lengthBytes: number, options: RequestOptions): Promise<void> {
    const { device, insideBytes } = this.#inside(offset, lengthBytes);
    await device?.cache(offset, insideBytes, options);
  }

  /** The part of the range that the base has, from its start on; `device` is absent when it is none. */
  #inside(offset: number, lengthBytes: number): { device: BlockDevice | undefined; insideBytes: number } {
    const sizeBytes = this.#device?.sizeBytes ?? 0;
    const insideBytes = Math.min(Math.max(sizeBytes - offset, 0), lengthBytes);
    return { device: insideBytes > 0 ? this.#device : undefined, insideBytes };
  }
}
