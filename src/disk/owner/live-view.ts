/**
 * A disk as another node's clients read it while this node owns it. Each request fails with
 * `ERR_NOT_OWNER` as soon as this node does not own it any more.
 *
 * Invariant: nothing is answered while the lease on the disk has passed.
 */

import { CopseError } from '../../base/error.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { AnswerLease, BlockDevice, DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';
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

  get lease(): AnswerLease | undefined {
    return this.#disk.lease;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (this.lease?.isValid() === false) return false;
    return this.#disk.here?.readNow(target, targetStart, lengthBytes, offset) ?? false;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    if (this.lease?.isValid() === false) return false;
    return this.#disk.here?.isZeroNow(offset, lengthBytes) ?? false;
  }

  async read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place> {
    return this.#answer((here) => here.read(target, offset, options), options);
  }

  override async flush(options?: RequestOptions): Promise<void> {
    await this.#answer((here) => here.flush(options), options);
  }

  async extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]> {
    return this.#answer((here) => here.extents(offset, lengthBytes, maxCount, options), options);
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: this.#disk.here !== undefined }];
  }

  async cache(): Promise<void> {}

  async close(): Promise<void> {}

  /** Runs a request. If the disk moves on, the error leads the client to its next owner. */
  async #answer<T>(work: (here: BlockDevice) => Promise<T>, options: RequestOptions | undefined): Promise<T> {
    const { lease } = this;
    if (lease?.isValid() === false && !(await lease.settled(options))) throw this.#notOwner();
    const { here } = this.#disk;
    if (here === undefined) throw this.#notOwner();
    let found: T;
    try {
      found = await work(here);
    } catch (error) {
      throw this.#disk.here === here ? error : this.#notOwner(error);
    }
    if (lease?.isValid() === false && !(await lease.settled(options))) throw this.#notOwner();
    return found;
  }

  #notOwner(cause?: unknown): CopseError {
    return new CopseError('ERR_NOT_OWNER', `disk "${this.#disk.record.name}": this node does not own it`, { cause });
  }
}
