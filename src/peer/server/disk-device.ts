/**
 * Serves a disk that this node owns to another node whose clients use it, read-only.
 *
 * Invariants: a request that fails with `ERR_NOT_OWNER` is answered with ESHUTDOWN, and the asking
 * node looks for the owner again. No guest may see ESHUTDOWN, and only nodes attach here. A request
 * that fails because this node is stopping gets no answer (`until-gone.ts`).
 *
 * Source: docs/reference/peer-protocol.md, `disk/UUID`.
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

  /** The caller closes the view. */
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

  /** Makes durable all writes of the owner's clients that were acknowledged before. */
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

/** Settles as the request does, but as the header says where that fails. */
async function tellPeer<T>(request: Promise<T>, options: RequestOptions = {}): Promise<T> {
  try {
    return await untilGone(request, options.signal);
  } catch (error) {
    if (errorCode(error) !== 'ERR_NOT_OWNER') throw error;
    throw new CopseError('ERR_PEER_NOT_OWNER', 'this node does not own the disk any more: look for its owner', { cause: error });
  }
}
