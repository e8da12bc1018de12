/** The common part of read-only exports for peers whose bytes lie in memory: all of it is data. */
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';

/** Each connection may see a copy of its own, so a client must not read on several at once. */
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
