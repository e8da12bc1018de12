/**
 * The lease of one disk for as long as this node owns it under one epoch.
 *
 * Invariants: a lost lease stays lost; a lease that was let go has no limit, because its disk moved by this node's own
 * leave and all that was answered under it was right.
 */

import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { AnswerLease } from '../../device/answer-lease.js';

/** The word of memory that native threads look at: `NativeLease`. */
export interface LeaseWord {
  isValid(): boolean;
  extend(ms: number): boolean;
  open(ms: number): void;
  close(): void;
  free(): void;
  lose(): void;
}

export interface DiskLeaseOptions<Word extends LeaseWord> {
  word: Word;
  epoch: number;
  /** Resolves when the node has found out whether it may answer. */
  settled(): Promise<void>;
  /** The lease is of no use any more. */
  onEnd(lease: DiskLease<Word>): void;
  clock: Clock;
}

export class DiskLease<Word extends LeaseWord = LeaseWord> implements AnswerLease {
  readonly word: Word;
  /** Epoch under which this node owns the disk. */
  readonly epoch: number;
  readonly #options: DiskLeaseOptions<Word>;
  #isLost = false;

  constructor(options: DiskLeaseOptions<Word>) {
    this.word = options.word;
    this.epoch = options.epoch;
    this.#options = options;
  }

  isValid(): boolean {
    return this.word.isValid();
  }

  async settled({ deadlineMs, signal }: RequestOptions = {}): Promise<boolean> {
    const { settled, clock } = this.#options;
    const startMs = clock.nowMs();
    while (!this.#isLost && !this.word.isValid()) {
      // The word may pass again while this waits.
      const leftMs = deadlineMs === undefined || deadlineMs === 0 ? 0 : Math.max(1, startMs + deadlineMs - clock.nowMs());
      await waitFor('leave to answer for a disk', settled(), { timeoutMs: leftMs, signal, clock });
    }
    return !this.#isLost;
  }

  /** Another node owns the disk: what waits for the lease is never answered. */
  lose(): void {
    this.#isLost = true;
    this.word.lose();
    this.#options.onEnd(this);
  }

  /** The disk moved by this node's leave, or is closed. */
  free(): void {
    if (this.#isLost) return;
    this.word.free();
    this.#options.onEnd(this);
  }
}
