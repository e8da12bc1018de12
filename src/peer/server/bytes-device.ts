/** Bytes in memory as a read-only device: what a node says of itself, a manifest. */
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { BlockDevice, DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';

/** Copies a range, which lies inside the size, to `target`. */
export type CopyBytes = (target: Buffer, targetStart: number, lengthBytes: number, offset: number) => void;

/** One connection: what a connection sees may depend on what it read before. */
const features: DeviceFeatures = { readOnly: true, multiConn: false, trim: false, writeZeroes: false, fastZero: false };

export class PeerBytesDevice extends ReadOnlyDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly features = features;
  readonly #copy: CopyBytes;

  constructor(sizeBytes: number, copy: CopyBytes) {
    super('what peers tell is');
    this.sizeBytes = sizeBytes;
    this.#copy = copy;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    this.#copy(target, targetStart, lengthBytes, offset);
    return true;
  }

  isZeroNow(): boolean {
    return false;
  }

  async read(target: Buffer, offset: number): Promise<Place> {
    this.#copy(target, 0, target.length, offset);
    return 'cache';
  }

  async extents(_offset: number, lengthBytes: number): Promise<Extent[]> {
    return [{ lengthBytes, zero: false, hole: false }];
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: true }];
  }

  cache(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
