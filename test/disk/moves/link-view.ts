/** The disk at its owner over a slow link: attached from the first moment on, and until its end has arrived. */

import { CopseError } from '../../../src/base/error.js';
import type { CachedExtent, Extent } from '../../../src/block/extent.js';
import type { Place } from '../../../src/block/place.js';
import type { BlockDevice, DeviceFeatures } from '../../../src/device/device.js';
import { ReadOnlyDevice } from '../../../src/device/read-only.js';
import type { DiskService } from '../../../src/disk/service/service.js';
import type { Links } from './link.js';

type Served = Awaited<ReturnType<DiskService['disk']>>;

export interface LinkViewOptions {
  links: Links;
  from: string;
  to: string;
  open(): Promise<Served>;
}

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class LinkView extends ReadOnlyDevice implements BlockDevice {
  readonly features = features;
  readonly sizeBytes: number;
  readonly #options: LinkViewOptions;
  readonly #served: Promise<Served>;
  #closed = false;

  constructor(sizeBytes: number, options: LinkViewOptions) {
    super('views are');
    const { links, from, to, open } = options;
    this.sizeBytes = sizeBytes;
    this.#options = options;
    this.#served = links.ask(from, to, 'view open', open);
    this.#served.catch(() => {});
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
    await this.#with('view flush', (device) => device.flush());
  }

  extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return this.#with('view extents', (device) => device.extents(offset, lengthBytes, maxCount));
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: false }];
  }

  async cache(): Promise<void> {}

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { links, from, to } = this.#options;
    const served = await this.#served.catch(() => undefined);
    if (served !== undefined) await links.ask(from, to, 'view close', async () => served.release());
  }

  async #with<T>(what: string, work: (device: BlockDevice) => Promise<T>): Promise<T> {
    const { links, from, to } = this.#options;
    const served = await this.#served;
    if (served === undefined || this.#closed) throw new CopseError('ERR_NOT_OWNER', 'it has no such disk');
    return links.ask(from, to, what, () => work(served.device));
  }
}
