/**
 * The stores of one class of chunks in a ring, and a hand that goes round over all of them: second
 * chance (CLOCK), in the order in which chunks lie. docs/decision/0002-second-chance.md tells why
 * CLOCK was chosen over LRU and S3-FIFO.
 *
 * An eviction takes at most three laps. The first clears used marks and finds unmarked chunks. The
 * second finds chunks without a use since the first. The third spares only pinned and busy chunks,
 * because some chunks may be read again faster than a lap takes. So an eviction that runs out of
 * chunks leaves only pinned chunks and new ones.
 *
 * The hand stays in place between evictions. Stores may come and go at any time.
 */
import { Slice } from '../../base/slice.js';
import type { ChunkStore } from '../store/chunk-store.js';
import { sweepStep } from './eviction-sweep.js';

export interface RingMember {
  readonly store: ChunkStore;
  /** True for chunks of the ring's class; `undefined` means all chunks. */
  readonly belongs?: ((chunkIndex: number) => boolean) | undefined;
  /** Called once the hand finds the store empty. The store has left the ring by then. */
  readonly onEmpty?: (() => void) | undefined;
}

export interface EvictionDemand {
  /** Bytes that must still go. Asked before each step, because the need changes at any moment. */
  wantedBytes(): number;
  /** Frees chunks, except those in use. */
  free(store: ChunkStore, chunkIndices: Uint32Array): Promise<void>;
}

const lapLimit = 3;
/** Bounds on one step: about a millisecond of this thread, 128 MiB of chunks of 256 KiB. */
const maxScanCount = 8192;
const maxFindCount = 512;

export class EvictionRing {
  readonly #members: RingMember[] = [];
  /** Position of the hand: the chunk that is looked at next. */
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

  /**
   * Resolves to `enough` when no more bytes must go, and to `exhausted` when no more chunks of the
   * class can. Rejects as `free` does.
   */
  async evict(demand: EvictionDemand): Promise<'enough' | 'exhausted'> {
    for (let lap = 1; lap <= lapLimit; lap += 1) {
      const outcome = await this.#lap(demand, lap === lapLimit);
      if (outcome !== 'spared') return outcome;
    }
    return 'exhausted';
  }

  /** Takes one lap. `spared` means that a further lap may find more. */
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
      // A long lap that frees nothing gives way to other work here.
      else if (slice.isOver) await slice.turn();
      // A reader took the store back meanwhile, so it is not removed.
      if (onEmpty !== undefined && store.dataBytes === 0 && this.#members.includes(member)) {
        this.remove(store);
        onEmpty();
      }
    }
    return spared ? 'spared' : 'exhausted';
  }

  /** Positions of the hand. A store without chunks has one, so that the hand finds it empty. */
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
