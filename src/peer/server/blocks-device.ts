/**
 * Serves the blocks of a disk that lie in this node's overlay, read-only. The asking node owns the
 * disk now, or makes a copy of it.
 *
 * Invariants: a request that touches a block which is not here fails as a whole. No request causes
 * one to another node.
 *
 * Source: docs/reference/peer-protocol.md, `blocks/UUID`.
 */

import { CopseError } from '../../base/error.js';
import type { NativeOverlayFile } from '../../base/native/overlay.js';
import { BlockState, OverlayReadNow } from '../../base/native/overlay.js';
import type { CachedExtent, Extent } from '../../block/extent.js';
import { mergeExtent } from '../../block/merge-extent.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice, DeviceFeatures } from '../../device/device.js';
import { ReadOnlyDevice } from '../../device/read-only.js';
import { untilGone } from './until-gone.js';

/** The needed part of an overlay. */
export type PeerOverlay = Pick<NativeOverlayFile, 'sizeBytes' | 'readNow' | 'isZero' | 'read' | 'runs'>;

const features: DeviceFeatures = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };

export class PeerBlocksDevice extends ReadOnlyDevice implements BlockDevice {
  readonly features = features;
  readonly #overlay: PeerOverlay;

  /** The caller closes the overlay. */
  constructor(overlay: PeerOverlay) {
    super("a disk's blocks are");
    this.#overlay = overlay;
  }

  get sizeBytes(): number {
    return this.#overlay.sizeBytes;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    return this.#overlay.readNow(target, targetStart, lengthBytes, offset) === OverlayReadNow.hit;
  }

  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#overlay.isZero(offset, lengthBytes);
  }

  async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    if (await untilGone(this.#overlay.read(target, 0, target.length, offset), options.signal)) return 'cache';
    throw new CopseError('EIO', `this node's overlay does not have all of ${target.length} bytes at ${offset}: read them elsewhere`);
  }

  /** Blocks that are not here are holes that do not read as zeros. */
  async extents(offset: number, lengthBytes: number, maxCount: number): Promise<Extent[]> {
    return this.#runs(
      offset,
      lengthBytes,
      maxCount,
      (state) => `${state === BlockState.data}${state === BlockState.zero}`,
      (state, length) => ({ lengthBytes: length, zero: state === BlockState.zero, hole: state !== BlockState.data }),
    );
  }

  cachedExtents(offset: number, lengthBytes: number, maxCount: number): CachedExtent[] {
    return this.#runs(offset, lengthBytes, maxCount, isHere, (state, length) => ({ lengthBytes: length, cached: isHere(state) }));
  }

  cache(offset: number, lengthBytes: number): Promise<void> {
    const [first] = this.cachedExtents(offset, lengthBytes, 1);
    if (first?.cached === true && first.lengthBytes >= lengthBytes) return Promise.resolve();
    return Promise.reject(new CopseError('ENOTSUP', "this node's overlay does not have all of the range"));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Merges runs of blocks that have one kind into extents.
   *
   * @param kindOf gives equal values for states that belong to one extent
   */
  #runs<T extends { lengthBytes: number }>(
    offset: number,
    lengthBytes: number,
    maxCount: number,
    kindOf: (state: number) => unknown,
    extentOf: (state: number, lengthBytes: number) => T,
  ): T[] {
    // Several runs may merge into one extent, so a few more than the wanted count are fetched.
    const runs = this.#overlay.runs(offset, lengthBytes, maxCount + 16);
    const extents: T[] = [];
    let lastKind: unknown;
    for (let index = 0; index + 2 < runs.length; index += 3) {
      const state = runs[index] ?? 0;
      const length = runs[index + 2] ?? 0;
      const kind = kindOf(state);
      if (!mergeExtent(extents, extentOf(state, length), () => kind === lastKind, maxCount)) break;
      lastKind = kind;
    }
    return extents;
  }
}

/** True if a block of that state lies in this node's overlay. */
function isHere(state: number): boolean {
  return state === BlockState.data || state === BlockState.zero;
}
