/**
 * Serves bytes in memory as a read-only device: the statement of this node, a manifest, a record.
 *
 * Invariant: `readNow` answers every read, so no read waits.
 */
import type { Place } from '../../block/place.js';
import type { BlockDevice } from '../../device/device.js';
import { MemoryDevice } from './memory-device.js';

/** Copies a range, which lies inside the device, to `target`. */
export type CopyBytes = (target: Buffer, targetStart: number, lengthBytes: number, offset: number) => void;

export class PeerBytesDevice extends MemoryDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly #copy: CopyBytes;

  constructor(sizeBytes: number, copy: CopyBytes) {
    super('what peers tell is');
    this.sizeBytes = sizeBytes;
    this.#copy = copy;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    this.#copy(target, targetStart, lengthBytes, offset);
    return true;
  }

  isZeroNow(): boolean {
    return false;
  }

  async read(target: Buffer, offset: number): Promise<Place> {
    this.#copy(target, 0, target.length, offset);
    return 'cache';
  }
}
