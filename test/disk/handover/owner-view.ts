/** A disk at its owner, as another node reads it. A subclass says how a request reaches the owner. */
import type { CachedExtent, Extent } from '../../../src/block/extent.js';
import type { Place } from '../../../src/block/place.js';
import type { BlockDevice, DeviceFeatures } from '../../../src/device/device.js';
import { ReadOnlyDevice } from '../../../src/device/read-only.js';

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export abstract class OwnerView extends ReadOnlyDevice implements BlockDevice {
  readonly features = features;
  readonly sizeBytes: number;

  constructor(sizeBytes: number) {
    super('views are');
    this.sizeBytes = sizeBytes;
  }

  /** @param step names the request among the messages of a scenario */
  protected abstract ask<T>(step: string, work: (device: BlockDevice) => Promise<T>): Promise<T>;

  abstract close(): Promise<void>;

  readNow(): boolean {
    return false;
  }

  isZeroNow(): boolean {
    return false;
  }

  read(target: Buffer, offset: number): Promise<Place> {
    return this.ask<Place>('view', async (device) => {
      await device.read(target, offset);
      return 'peer';
    });
  }

  override async flush(): Promise<void> {
    await this.ask('view-flush', (device) => device.flush());
  }

  extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return this.ask('view-extents', (device) => device.extents(offset, lengthBytes, maxCount));
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: false }];
  }

  async cache(): Promise<void> {}
}
