/** A disk as another node's clients read it while this node owns it. Everything fails with `ERR_NOT_OWNER` from the moment on in which it does not any more. */
import { CopseError } from '../base/error.js';
import type { BlockDevice, CachedExtent, DeviceFeatures, Extent, RequestOptions, Source } from '../device/device.js';
import { ReadOnlyDevice } from '../device/read-only.js';
import type { DiskExport } from './disk-export.js';

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class LiveView extends ReadOnlyDevice implements BlockDevice {
  readonly features = features;
  readonly sizeBytes: number;
  readonly #disk: DiskExport;

  constructor(disk: DiskExport) {
    super('disks of other nodes are');
    this.#disk = disk;
    this.sizeBytes = disk.sizeBytes;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#disk.here?.readNow(target, targetStart, lengthBytes, offset) ?? false;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#disk.here?.isZeroNow(offset, lengthBytes) ?? false;
  }

  async read(target: Buffer, offset: number, options?: RequestOptions): Promise<Source> {
    return this.#here.read(target, offset, options);
  }

  override async flush(options?: RequestOptions): Promise<void> {
    await this.#here.flush(options);
  }

  async extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]> {
    return this.#here.extents(offset, lengthBytes, maxCount, options);
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: this.#disk.here !== undefined }];
  }

  async cache(): Promise<void> {}

  async close(): Promise<void> {}

  get #here(): BlockDevice {
    const { here } = this.#disk;
    if (here === undefined) throw new CopseError('ERR_NOT_OWNER', `disk "${this.#disk.record.name}": this node does not own it`);
    return here;
  }
}
