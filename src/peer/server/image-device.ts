/**
 * A content as its peers see it, over this node's cache of it. As `home` it is brought by all means; as `held` it is what is here already, and a request never
 * causes another.
 */

import { CopseError, errorCode } from '../../base/error.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice, DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';

export interface PeerReadOptions extends RequestOptions {
  role: 'home' | 'held';
  /** Prefetch or warming at the one who asks. */
  background?: boolean | undefined;
}

/** What is needed of a content's cache. `ChunkCache` is one. */
export interface PeerCache {
  /** Hits, past the readahead that guests feed: what a peer reads says nothing of what comes next here. */
  readonly store: {
    readonly sizeBytes: number;
    readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean;
    isZero(offset: number, lengthBytes: number): boolean;
  };
  /** `held` of what is absent rejects with `ERR_NOT_HELD`. */
  read(target: Buffer, offset: number, options: PeerReadOptions): Promise<Place>;
  ensure(offset: number, lengthBytes: number, options: PeerReadOptions): Promise<unknown>;
  extents(offset: number, lengthBytes: number, maxCount: number): Extent[];
  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[];
}

export interface PeerImageOptions {
  cache: PeerCache;
  role: 'home' | 'held';
  background: boolean;
  /** Told of each range that was read: whoever asked holds it now. */
  onServed(offset: number, lengthBytes: number): void;
}

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

/** `ensure` in steps: a deadline counts for each, and guests are not kept waiting behind all of a large range. */
const stepBytes = 4 * 1024 * 1024;

export class PeerImageDevice extends ReadOnlyDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly features = features;
  readonly #options: PeerImageOptions;
  readonly #cache: PeerCache;

  /** The cache stays its owner's to close. */
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

/** An answer, not a failure: `ENOTSUP` on the wire. */
function notHeld(cause: unknown): CopseError {
  return new CopseError('ENOTSUP', 'not held here', { cause });
}
