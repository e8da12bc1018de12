/**
 * Serves the map of a disk, one byte per block, from a copy that it makes at the first read of a
 * connection.
 *
 * Invariants: attaching alone copies nothing, because a copy may clear the marks of changed blocks.
 * All reads of a connection see one copy. Its bytes count in the budget from before it is made
 * until `release`.
 *
 * Source: docs/reference/peer-protocol.md, `map/UUID`.
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
  /** Number of blocks, at least 1. It is the size of the device in bytes. */
  blockCount: number;
  /** Fills the whole target. Called at most once. */
  copy(target: Buffer): void | Promise<void>;
  /** Budget of all such copies. */
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

  /** True for a run of blocks that are of the base and unchanged. */
  isZeroNow(offset: number, lengthBytes: number): boolean {
    return this.#states !== undefined && native.isZero(this.#states, offset, offset + lengthBytes);
  }

  /** Rejects with `ENOMEM` if other copies fill the budget. */
  async read(target: Buffer, offset: number, options: RequestOptions = {}): Promise<Place> {
    this.#copying ??= this.#take();
    const states = await waitFor('copy of a map', this.#copying, { signal: options.signal, timeoutMs: options.deadlineMs });
    states.copy(target, 0, offset, offset + target.length);
    return 'cache';
  }

  /** Lets go of the copy. The connection and its requests have ended. */
  release(): void {
    this.#released = true;
    this.#states = undefined;
    this.#giveBack();
  }

  #take(): Promise<Buffer> {
    const { blockCount, budget } = this.#options;
    if (!budget.tryTake(blockCount)) {
      throw new CopseError('ENOMEM', `other maps are being read, and there is no memory for one of ${blockCount} blocks: ask again`);
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
