/** The part that read-only exports for peers share when their bytes lie in memory. */
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';

/** One connection: the bytes that a connection sees may be a copy of its own. */
const features: DeviceFeatures = { readOnly: true, multiConn: false, trim: false, writeZeroes: false, fastZero: false };

export abstract class MemoryDevice extends ReadOnlyDevice {
  readonly features = features;

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
