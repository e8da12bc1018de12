/** A block device whose answers a test decides, one by one: what is a hit, what waits, what fails. */

import type { CachedExtent, Extent } from '../../src/block/extent.js';
import type { Place } from '../../src/block/place.js';
import type { RequestOptions } from '../../src/block/read-options.js';
import { blockSize } from '../../src/device/block-size.js';
import type { BlockDevice, DeviceFeatures } from '../../src/device/device.js';

const readWrite: DeviceFeatures = { readOnly: false, multiConn: true, trim: true, writeZeroes: true, fastZero: true };

/** A read or flush that is under way, to be ended by the test. */
export interface PendingCall {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly signal: AbortSignal | undefined;
  resolve(): void;
  reject(error: Error): void;
}

export class ScriptedDevice implements BlockDevice {
  readonly blockSize = blockSize;
  readonly features: DeviceFeatures;
  readonly content: Buffer;
  /** Whether a read can be answered at once. */
  isHit: (offset: number, lengthBytes: number) => boolean = () => true;
  isHole: (offset: number, lengthBytes: number) => boolean = () => false;
  readonly pending: PendingCall[] = [];
  readonly #watchers: { count: number; resolve: () => void }[] = [];

  constructor(content: Buffer, features: Partial<DeviceFeatures> = {}) {
    this.content = content;
    this.features = { ...readWrite, ...features };
  }

  get sizeBytes(): number {
    return this.content.length;
  }

  /** Resolves once `count` calls are under way. */
  waiting(count: number): Promise<void> {
    if (this.pending.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ count, resolve }));
  }

  /** Takes the call under way at `offset` out of the list. */
  takePending(offset: number): PendingCall {
    const index = this.pending.findIndex((call) => call.offset === offset);
    const [call] = this.pending.splice(index, 1);
    if (index < 0 || call === undefined) throw new Error(`no call under way at ${offset}`);
    return call;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (!this.isHit(offset, lengthBytes)) return false;
    this.content.copy(target, targetStart, offset, offset + lengthBytes);
    return true;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.isHole(offset, lengthBytes);
  }

  async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    await this.#pend(offset, target.length, options.signal);
    this.content.copy(target, 0, offset, offset + target.length);
    return 'origin';
  }

  async write(source: Buffer, offset: number): Promise<void> {
    source.copy(this.content, offset);
  }

  async writeZeroes(offset: number, lengthBytes: number): Promise<void> {
    this.content.fill(0, offset, offset + lengthBytes);
  }

  trim(offset: number, lengthBytes: number): Promise<void> {
    return this.writeZeroes(offset, lengthBytes);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  async extents(_offset: number, lengthBytes: number): Promise<Extent[]> {
    return [{ lengthBytes, zero: false, hole: false }];
  }

  cachedExtents(_offset: number, lengthBytes: number): CachedExtent[] {
    return [{ lengthBytes, cached: true }];
  }

  cache(offset: number, lengthBytes: number, options: RequestOptions = {}): Promise<void> {
    return this.#pend(offset, lengthBytes, options.signal);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** As real devices do, gives up when the connection has gone. */
  #pend(offset: number, lengthBytes: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.pending.push({ offset, lengthBytes, signal, resolve, reject });
      signal?.addEventListener('abort', () => reject(new Error('given up')), { once: true });
      for (const watcher of this.#watchers.splice(0)) {
        if (this.pending.length >= watcher.count) watcher.resolve();
        else this.#watchers.push(watcher);
      }
    });
  }
}
