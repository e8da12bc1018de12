/**
 * Serves a content to peers from this node's cache. As `home` the cache fetches absent chunks from
 * peers or the origin. As `held` it answers from its own store alone.
 *
 * Invariant: a `held` request causes no other request. So requests among nodes have no cycle.
 */

import { CopseError, errorCode } from '../../base/error.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice, DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';

export interface PeerReadOptions extends RequestOptions {
  role: 'home' | 'held';
  /** True if the asking node prefetches or warms. */
  background?: boolean | undefined;
}

/** The needed part of a content's cache. `ChunkCache` implements it. */
export interface PeerCache {
  /**
   * The store, from which hits are answered. Reads of peers go past the readahead, because they
   * tell nothing about the next reads of guests here.
   */
  readonly store: {
    readonly sizeBytes: number;
    readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean;
    isZero(offset: number, lengthBytes: number): boolean;
  };
  /** Rejects with `ERR_NOT_HELD` if the role is `held` and a chunk is absent. */
  read(target: Buffer, offset: number, options: PeerReadOptions): Promise<Place>;
  ensure(offset: number, lengthBytes: number, options: PeerReadOptions): Promise<unknown>;
  extents(offset: number, lengthBytes: number, maxCount: number): Extent[];
  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[];
}

export interface PeerImageOptions {
  cache: PeerCache;
  role: 'home' | 'held';
  background: boolean;
  /** Called with each range that was read, which the asking node holds now. */
  onServed(offset: number, lengthBytes: number): void;
}

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

/**
 * Bytes of one step of `cache`. Each step has a deadline of its own, and guests do not wait behind
 * the whole of a large range.
 */
const stepBytes = 4 * 1024 * 1024;

export class PeerImageDevice extends ReadOnlyDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly features = features;
  readonly #options: PeerImageOptions;
  readonly #cache: PeerCache;

  /** The caller closes the cache. */
  constructor(options: PeerImageOptions) {
    super('images are');
    this.#options = options;
    this.#cache = options.cache;
    this.sizeBytes = options.cache.store.sizeBytes;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (!this.#cache.store.readNow(target, targetStart, lengthBytes, offset)) return false;
    this.#options.onServed(offset, lengthBytes);
    return true;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#cache.store.isZero(offset, lengthBytes);
  }

  async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    const { role, background, onServed } = this.#options;
    try {
      const source = await this.#cache.read(target, offset, { ...options, role, background });
      onServed(offset, target.length);
      return source;
    } catch (error) {
      throw errorCode(error) === 'ERR_NOT_HELD' ? notHeld(error) : error;
    }
  }

  async extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return this.#cache.extents(offset, lengthBytes, maxCount);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#cache.cachedExtents(offset, lengthBytes, maxCount);
  }

  async cache(offset: number, lengthBytes: number, options: RequestOptions = {}): Promise<void> {
    const { role, background } = this.#options;
    if (role === 'held') {
      const [first] = this.#cache.cachedExtents(offset, lengthBytes, 1);
      if (first?.cached === true && first.lengthBytes >= lengthBytes) return;
      throw notHeld(undefined);
    }
    for (let at = offset; at < offset + lengthBytes; ) {
      const end = Math.min(offset + lengthBytes, (Math.floor(at / stepBytes) + 1) * stepBytes);
      await this.#cache.ensure(at, end - at, { ...options, role, background });
      at = end;
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The answer that a range is not held here, which is no failure. The wire has it as `ENOTSUP`. */
function notHeld(cause: unknown): CopseError {
  return new CopseError('ENOTSUP', 'this node does not hold the range', { cause });
}
