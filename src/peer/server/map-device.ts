/**
 * The map of a disk, a byte a block, as it is when a connection first reads of it. Not when it attaches: to look what there is must not take the marks of changed blocks.
 *
 * Invariant: the copy's bytes are in the budget from before it is made until `release`.
 */

import type { Budget } from '../../base/budget.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError } from '../../base/error.js';
import { native } from '../../base/native/loader.js';
import type { Place } from '../../block/place.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice } from '../../device/device.js';
import { MemoryDevice } from './memory-device.js';

export interface PeerMapOptions {
  /** At least 1: the size. */
  blockCount: number;
  /** Fills all of the target. Called once at most. */
  copy(target: Buffer): void | Promise<void>;
  /** Of all such copies. */
  budget: Budget;
}

export class PeerMapDevice extends MemoryDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly #options: PeerMapOptions;
  #states: Buffer | undefined;
  #copying: Promise<Buffer> | undefined;
  #heldBytes = 0;
  #released = false;

  constructor(options: PeerMapOptions) {
    super('maps are');
    this.#options = options;
    this.sizeBytes = options.blockCount;
  }

  readNow(target: Buffer, targetStart: number, lengthBytes: number, offset: number): boolean {
    if (this.#states === undefined) return false;
    this.#states.copy(target, targetStart, offset, offset + lengthBytes);
    return true;
  }

  /** Base, unchanged. */
  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#states !== undefined && native.isZero(this.#states, offset, offset + lengthBytes);
  }

  /** Code `ENOMEM` when too many copies are held. */
  async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    this.#copying ??= this.#take();
    const states = await waitFor('copy of a map', this.#copying, { signal: options.signal, timeoutMs: options.deadlineMs });
    states.copy(target, 0, offset, offset + target.length);
    return 'cache';
  }

  /** The connection has ended, and with it its requests. */
  release(): void {
    this.#released = true;
    this.#states = undefined;
    this.#giveBack();
  }

  #take(): Promise<Buffer> {
    const { blockCount, budget } = this.#options;
    if (!budget.tryTake(blockCount)) {
      throw new CopseError('ENOMEM', `other maps are being read: no room for one of ${blockCount} blocks just now`);
    }
    this.#heldBytes = blockCount;
    return this.#copy();
  }

  async #copy(): Promise<Buffer> {
    const { blockCount, copy } = this.#options;
    try {
      const states = Buffer.allocUnsafeSlow(blockCount);
      await copy(states);
      if (!this.#released) this.#states = states;
      return states;
    } finally {
      if (this.#released) this.#giveBack();
    }
  }

  #giveBack(): void {
    this.#options.budget.release(this.#heldBytes);
    this.#heldBytes = 0;
  }
}
