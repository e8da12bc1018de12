/**
 * A local file as a read-write block device: the smallest complete device.
 *
 * Durability: a write is durable after the next flush, or at once with FUA.
 */

import type { NativeBlockFile } from '../base/native/block.js';
import { native } from '../base/native/loader.js';
import type { CachedExtent, Extent } from '../block/extent.js';
import type { Place } from '../block/place.js';
import { blockSize } from './block-size.js';
import type { BlockDevice, DeviceFeatures, WriteOptions, WriteZeroesOptions } from './device.js';

const features: DeviceFeatures = { readOnly: false, multiConn: true, trim: true, writeZeroes: true, fastZero: true };

export class FileDevice implements BlockDevice {
  readonly blockSize = blockSize;
  readonly features = features;
  readonly sizeBytes: number;
  readonly #file: NativeBlockFile;
  #closing: Promise<void> | undefined;

  /** Opens an existing file or block device for reading and writing. */
  constructor(path: string) {
    this.#file = native.openBlockFile(path, { write: true });
    this.sizeBytes = this.#file.sizeBytes;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#file.readNow(target, targetStart, lengthBytes, offset);
  }

  isZeroNow(): boolean {
    return false;
  }

  async read(target: Buffer, offset: number): Promise<Place> {
    await this.#file.read(target, 0, target.length, offset);
    return 'cache';
  }

  write(source: Buffer, offset: number, options: WriteOptions = {}): Promise<void> {
    return this.#file.write(source, 0, source.length, offset, options.fua === true);
  }

  async writeZeroes(offset: number, lengthBytes: number, options: WriteZeroesOptions = {}): Promise<void> {
    await this.#file.zero(offset, lengthBytes, { punch: options.noHole !== true, fastOnly: options.fastOnly === true });
    if (options.fua) await this.#file.sync();
  }

  async trim(offset: number, lengthBytes: number, options: WriteOptions = {}): Promise<void> {
    await this.#file.zero(offset, lengthBytes, { punch: true, fastOnly: false });
    if (options.fua) await this.#file.sync();
  }

  flush(): Promise<void> {
    return this.#file.sync();
  }

  async extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    const pairs = await this.#file.extents(offset, lengthBytes, maxCount);
    const extents: Extent[] = [];
    for (let index = 0; index + 1 < pairs.length; index += 2) {
      const hole = pairs[index + 1] === 1;
      extents.push({ lengthBytes: pairs[index] ?? 0, zero: hole, hole });
    }
    return extents;
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: true }];
  }

  cache(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#closing ??= this.#file.close();
    return this.#closing;
  }
}
