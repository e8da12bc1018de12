/** A device that holds back or fails what touches one range of it, and passes everything else on. */
import type { CachedExtent, Extent } from '../../src/block/extent.js';
import type { Place } from '../../src/block/place.js';
import type { BlockDevice, WriteOptions, WriteZeroesOptions } from '../../src/device/device.js';
import type { Fault } from './subject.js';

export class FaultDevice implements BlockDevice, Fault {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly #device: BlockDevice;
  #code: string | undefined;
  #gate: { opened: Promise<void>; open: () => void } | undefined;
  #waiting = 0;
  #failureCount = 0;
  readonly #watchers: { count: number; resolve: () => void }[] = [];

  constructor(device: BlockDevice, range: { offset: number; lengthBytes: number }) {
    this.#device = device;
    this.offset = range.offset;
    this.lengthBytes = range.lengthBytes;
  }

  get sizeBytes(): number {
    return this.#device.sizeBytes;
  }

  get blockSize() {
    return this.#device.blockSize;
  }

  get features() {
    return this.#device.features;
  }

  hold(): void {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = { opened, open };
  }

  release(): void {
    this.#gate?.open();
    this.#gate = undefined;
  }

  fail(code: string | undefined): void {
    this.#code = code;
  }

  waiting(count: number): Promise<void> {
    if (this.#waiting >= count) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ count, resolve }));
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (this.#touches(offset, lengthBytes) && (this.#gate !== undefined || this.#code !== undefined)) return false;
    return this.#device.readNow(target, targetStart, lengthBytes, offset);
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return !this.#touches(offset, lengthBytes) && this.#device.isZeroNow(offset, lengthBytes);
  }

  async read(target: Buffer, offset: number): Promise<Place> {
    await this.#pass(offset, target.length);
    return await this.#device.read(target, offset);
  }

  async write(source: Buffer, offset: number, options?: WriteOptions): Promise<void> {
    await this.#pass(offset, source.length);
    await this.#device.write(source, offset, options);
  }

  async writeZeroes(offset: number, lengthBytes: number, options?: WriteZeroesOptions): Promise<void> {
    await this.#pass(offset, lengthBytes);
    await this.#device.writeZeroes(offset, lengthBytes, options);
  }

  async trim(offset: number, lengthBytes: number, options?: WriteOptions): Promise<void> {
    await this.#pass(offset, lengthBytes);
    await this.#device.trim(offset, lengthBytes, options);
  }

  flush(): Promise<void> {
    return this.#device.flush();
  }

  extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return this.#device.extents(offset, lengthBytes, maxCount);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#device.cachedExtents(offset, lengthBytes, maxCount);
  }

  cache(offset: number, lengthBytes: number): Promise<void> {
    return this.#device.cache(offset, lengthBytes);
  }

  close(): Promise<void> {
    this.release();
    return this.#device.close();
  }

  #touches(offset: number, lengthBytes: number): boolean {
    return offset < this.offset + this.lengthBytes && offset + lengthBytes > this.offset;
  }

  async #pass(offset: number, lengthBytes: number): Promise<void> {
    if (!this.#touches(offset, lengthBytes)) return;
    if (this.#gate !== undefined) {
      this.#waiting += 1;
      for (const watcher of this.#watchers.splice(0)) {
        if (this.#waiting >= watcher.count) watcher.resolve();
        else this.#watchers.push(watcher);
      }
      await this.#gate.opened;
      this.#waiting -= 1;
    }
    if (this.#code === undefined) return;
    // Too long for a reply, and cut at each byte of a character in turn.
    this.#failureCount += 1;
    throw Object.assign(new Error(`${'x'.repeat(this.#failureCount % 3)}${'€'.repeat(1000)}`), { code: this.#code });
  }
}
