/** The disk at its owner, as a node of a room sees it. */

import { CopseError } from '../../../src/base/error.js';
import type { CachedExtent, Extent } from '../../../src/block/extent.js';
import type { Place } from '../../../src/block/place.js';
import type { BlockDevice, DeviceFeatures } from '../../../src/device/device.js';
import { ReadOnlyDevice } from '../../../src/device/read-only.js';

type Served = { device: BlockDevice; release(): void } | undefined;
type Ask = <T>(what: string, work: (served: Served) => Promise<T>) => Promise<T>;

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class ScriptedView extends ReadOnlyDevice implements BlockDevice {
  readonly features = features;
  readonly sizeBytes: number;
  readonly #ask: Ask;
  #attached: (() => void) | undefined;

  constructor(sizeBytes: number, ask: Ask) {
    super('views are');
    this.sizeBytes = sizeBytes;
    this.#ask = ask;
  }

  readNow(): boolean {
    return false;
  }

  isZeroNow(): boolean {
    return false;
  }

  read(target: Buffer, offset: number): Promise<Place> {
    return this.#with<Place>('view', async (device) => {
      await device.read(target, offset);
      return 'peer';
    });
  }

  override async flush(): Promise<void> {
    await this.#with('view-flush', (device) => device.flush());
  }

  extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return this.#with('view-extents', (device) => device.extents(offset, lengthBytes, maxCount));
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: false }];
  }

  async cache(): Promise<void> {}

  async close(): Promise<void> {
    this.#attached?.();
  }

  #with<T>(what: string, work: (device: BlockDevice) => Promise<T>): Promise<T> {
    return this.#ask(what, async (served) => {
      if (served === undefined) throw new CopseError('ERR_NOT_OWNER', 'it has no such disk');
      if (this.#attached === undefined) this.#attached = served.release;
      else served.release();
      return work(served.device);
    });
  }
}
