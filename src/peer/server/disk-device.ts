/**
 * A disk as another node sees it, for the clients that are attached there: what its owner's view answers, read-only.
 *
 * A request that fails with `ERR_NOT_OWNER` is answered with ESHUTDOWN, which no guest may ever see: whoever asks here is a node, and looks for the owner anew. One that fails because this
 * node is stopping is not answered.
 */

import { CopseError, errorCode } from '../../base/error.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { AnswerLease, BlockDevice, DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';
import { untilGone } from './until-gone.js';

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class PeerDiskDevice extends ReadOnlyDevice implements BlockDevice {
  readonly features = features;
  readonly #view: BlockDevice;

  /** The view stays its owner's to close. */
  constructor(view: BlockDevice) {
    super('for other nodes a disk is');
    this.#view = view;
  }

  get sizeBytes(): number {
    return this.#view.sizeBytes;
  }

  get lease(): AnswerLease | undefined {
    return this.#view.lease;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#view.readNow(target, targetStart, lengthBytes, offset);
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#view.isZeroNow(offset, lengthBytes);
  }

  read(target: Buffer, offset: number, options?: RequestOptions): Promise<Place> {
    return tellPeer(this.#view.read(target, offset, options), options);
  }

  /** What the owner's clients wrote becomes durable. */
  override flush(options?: RequestOptions): Promise<void> {
    return tellPeer(this.#view.flush(options), options);
  }

  extents(offset: number, lengthBytes: number, maxCount: number, options?: RequestOptions): Promise<Extent[]> {
    return tellPeer(this.#view.extents(offset, lengthBytes, maxCount, options), options);
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#view.cachedExtents(offset, lengthBytes, maxCount);
  }

  cache(): Promise<void> {
    return Promise.reject(new CopseError('ENOTSUP', 'a disk is not cached for other nodes'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function tellPeer<T>(request: Promise<T>, options: RequestOptions = {}): Promise<T> {
  try {
    return await untilGone(request, options.signal);
  } catch (error) {
    if (errorCode(error) !== 'ERR_NOT_OWNER') throw error;
    throw new CopseError('ERR_PEER_NOT_OWNER', 'this node does not own the disk any more', { cause: error });
  }
}
