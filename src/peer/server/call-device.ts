/**
 * Serves one call as a device: the calling node writes the call, and then reads the answer.
 * `call-limiter.ts` knows what the bytes mean.
 *
 * Invariants: a connection makes one call. Reads fail until the write has been answered. The call
 * goes on when the calling node is gone.
 *
 * Source: docs/reference/peer-protocol.md, "Calls".
 */

import { waitFor } from '../../base/deadline.js';
import { CopseError } from '../../base/error.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import { blockSize } from '../../device/block-size.js';
import type { BlockDevice, DeviceFeatures, WriteOptions } from '../../device/device.js';

export interface PeerCallOptions {
  /** Size of the export, in bytes. */
  sizeBytes: number;
  /** Bound on a call, in bytes. */
  maxRequestBytes: number;
  /**
   * Resolves to the bytes from offset 0, at most `sizeBytes`; spaces follow them. It may keep
   * `request`, and should not reject.
   */
  answer(request: Buffer, signal: AbortSignal | undefined): Promise<Buffer>;
}

const features: DeviceFeatures = { readOnly: false, multiConn: false, trim: false, writeZeroes: false, fastZero: false };
const space = 0x20;

export class PeerCallDevice implements BlockDevice {
  readonly blockSize = blockSize;
  readonly features = features;
  readonly sizeBytes: number;
  readonly #options: PeerCallOptions;
  #asked = false;
  #answer: Buffer | undefined;

  constructor(options: PeerCallOptions) {
    this.#options = options;
    this.sizeBytes = options.sizeBytes;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (this.#answer === undefined) return false;
    target.fill(space, targetStart, targetStart + lengthBytes);
    this.#answer.copy(target, targetStart, Math.min(offset, this.#answer.length), offset + lengthBytes);
    return true;
  }

  isZeroNow(): boolean {
    return false;
  }

  async read(target: Buffer, offset: number): Promise<Place> {
    if (!this.readNow(target, 0, target.length, offset)) throw new CopseError('EINVAL', 'there is no answer yet: write the call first');
    return 'cache';
  }

  async write(source: Buffer, offset: number, options: WriteOptions = {}): Promise<void> {
    const { maxRequestBytes, answer } = this.#options;
    if (offset !== 0 || source.length > maxRequestBytes) {
      throw new CopseError('EINVAL', `a call is one write at offset 0 of at most ${maxRequestBytes} bytes`);
    }
    if (this.#asked) throw new CopseError('EINVAL', 'this connection has made its call: make the next one on another');
    this.#asked = true;
    this.#answer = await waitFor('call', answer(Buffer.from(source), options.signal), { signal: options.signal });
  }

  writeZeroes(): Promise<void> {
    return Promise.reject(new CopseError('ENOTSUP', 'a call can not be a write of zeros'));
  }

  trim(): Promise<void> {
    return Promise.reject(new CopseError('ENOTSUP', 'there is nothing to trim in a call'));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  async extents(_offset: number, lengthBytes: number, _maxCount: number, _options?: RequestOptions): Promise<Extent[]> {
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
