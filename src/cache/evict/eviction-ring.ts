/**
 * The stores of one class of chunks in a ring, and the hand that goes round over all of them: second chance (CLOCK) in the order in which chunks lie. Why this and
 * not LRU or S3-FIFO: docs/performance.md.
 *
 * An eviction goes at most three laps: the first clears used marks and finds what had none, the second finds what was not used since; the third, for chunks that are read
 * again faster than a lap takes, spares only what is pinned or busy. So when an eviction ends for want of chunks, those that are left are pinned, or came meanwhile.
 *
 * The hand stays where it is between evictions. Stores may come and go at any time.
 */
import { Slice } from '../../base/slice.js';
import type { ChunkStore } from '../store/chunk-store.js';
import { sweepStep } from './eviction-sweep.js';

export interface RingMember {
  readonly store: ChunkStore;
  /** The chunks of the store that are of this ring's class; `undefined`: all. */
  readonly belongs?: ((chunkIndex: number) => boolean) | undefined;
  /** Called once, when the hand finds the store empty; it is out of the ring then. */
  readonly onEmpty?: (() => void) | undefined;
}

export interface EvictionDemand {
  /** How much has yet to go; asked before each step, because what there is changes at any moment. */
  wantedBytes(): number;
  /** Frees chunks, those in use excepted. */
  free(store: ChunkStore, chunkIndices: Uint32Array): Promise<void>;
}

const lapLimit = 3;
/** Bounds on one step: about a millisecond of this thread, 128 MiB of chunks of 256 KiB. */
const maxScanCount = 8192;
const maxFindCount = 512;

export class EvictionRing {
  readonly #members: RingMember[] = [];
  /** The hand: the chunk that is looked at next. */
  #memberIndex = 0;
  #chunkIndex = 0;

  add(member: RingMember): void {
    this.#members.push(member);
  }

  remove(store: ChunkStore): void {
    const index = this.#members.findIndex((member) => member.store === store);
    if (index < 0) return;
    this.#members.splice(index, 1);
    if (index < this.#memberIndex) this.#memberIndex -= 1;
    else if (index === this.#memberIndex) this.#chunkIndex = 0;
    if (this.#memberIndex === this.#members.length) this.#memberIndex = 0;
  }

  /** Resolves to `enough` when nothing more is wanted, to `exhausted` when nothing more of this class can go. Rejects as `free` does. */
  async evict(demand: EvictionDemand): Promise<'enough' | 'exhausted'> {
    for (let lap = 1; lap <= lapLimit; lap += 1) {
      const outcome = await this.#lap(demand, lap === lapLimit);
      if (outcome !== 'spared') return outcome;
    }
    return 'exhausted';
  }

  /** Once round. `spared`: another lap may find more. */
  async #lap(demand: EvictionDemand, force: boolean): Promise<'enough' | 'exhausted' | 'spared'> {
    let spared = false;
    const slice = new Slice();
    for (let left = this.#length; left > 0; ) {
      const wantedBytes = demand.wantedBytes();
      const member = this.#members[this.#memberIndex];
      if (wantedBytes <= 0) return 'enough';
      if (member === undefined) return 'exhausted';
      const { store, onEmpty } = member;
      const step = this.#step(member, left, Math.ceil(wantedBytes / store.chunkBytes), force);
      left -= step.scannedCount;
      spared ||= step.spared;
      if (step.found.length > 0) await demand.free(store, Uint32Array.from(step.found));
      // Where nothing goes, only this lets others have a turn in the middle of a long lap.
      else if (slice.isOver) await slice.turn();
      // Taken back meanwhile, by somebody who reads it again: it is not for us to remove.
      if (onEmpty !== undefined && store.dataBytes === 0 && this.#members.includes(member)) {
        this.remove(store);
        onEmpty();
      }
    }
    return spared ? 'spared' : 'exhausted';
  }

  /** Positions of the hand; a store without a chunk has one, or nobody would find it empty. */
  get #length(): number {
    return this.#members.reduce((count, { store }) => count + Math.max(1, store.chunkCount), 0);
  }

  /** Looks at the next chunks of the store under the hand, and moves the hand. */
  #step({ store, belongs }: RingMember, left: number, wantedCount: number, force: boolean) {
    const rest = store.chunkCount - this.#chunkIndex;
    if (store.dataBytes === 0) {
      this.#nextMember();
      return { found: [], scannedCount: Math.max(1, rest), spared: false };
    }
    const scanCount = Math.min(rest, left, maxScanCount);
    const maxCount = Math.min(wantedCount, maxFindCount);
    const step = sweepStep({ store, belongs, firstIndex: this.#chunkIndex, scanCount, maxCount, force });
    this.#chunkIndex += step.scannedCount;
    if (this.#chunkIndex >= store.chunkCount) this.#nextMember();
    return step;
  }

  #nextMember(): void {
    this.#memberIndex = (this.#memberIndex + 1) % this.#members.length;
    this.#chunkIndex = 0;
  }
}
