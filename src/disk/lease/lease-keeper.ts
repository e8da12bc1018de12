/**
 * Keeps the leases of this node's disks: moves them on while this process runs, and finds out who owns the disks
 * before it answers for them again.
 *
 * A lease ends when this process did not run for `leaseMs` (it was stopped, or its host was suspended), and when a
 * member comes back that this node had not heard: another node may have taken disks by force meanwhile. Then all
 * members that are up are asked for the disks' epochs; the highest counts. Where nobody answers within `answerMs`
 * this node goes on.
 *
 * Invariants: a lease that has passed is never moved on, it is only opened after such a round; a round that began
 * before the last cause of doubt settles nothing, and none settles a disk that came in its course. A disk whose
 * handover began before a cause of doubt, and ended after it, is asked about.
 *
 * A node that takes a disk by force waits until its owner's lease must have passed (`outlive`). So an owner that
 * wakes with a valid lease was not deposed.
 */
import type { Clock } from '../../base/clock.js';
import { AbortedError } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { type LeasedDisk, type LeaseMembers, OwnerRound } from '../knowledge/owner-round.js';
import { DiskLease, type LeaseWord } from './lease.js';

export interface LeaseKeeperOptions<Word extends LeaseWord> {
  createWord(): Word;
  members: LeaseMembers;
  owned(): LeasedDisk[];
  clock: Clock;
  log: Logger;
}

/** How long this node answers for its disks after it ran last, in ms. */
export const leaseMs = 5000;
/** How often leases are moved on, in ms. */
export const moveMs = 500;
/** How long answers are waited for before the node goes on without, in ms. */
export const answerMs = 5000;
/** For the way of a ping, and for clocks that differ, in ms. */
const marginMs = 250;

export class LeaseKeeper<Word extends LeaseWord = LeaseWord> {
  readonly #options: LeaseKeeperOptions<Word>;
  readonly #leases = new Set<DiskLease<Word>>();
  /** Tells that this process ran all the time. */
  readonly #running: Word;
  /** The round that is under way. */
  #round: Promise<void> | undefined;
  #isDoubtNew = false;
  /** Of the last cause of doubt, by the clock. */
  #doubtMs = Number.NEGATIVE_INFINITY;
  readonly #endReturns: () => void;
  #cancelMove: () => void = () => {};
  #closed = false;

  constructor(options: LeaseKeeperOptions<Word>) {
    this.#options = options;
    this.#running = options.createWord();
    this.#running.open(leaseMs);
    this.#endReturns = options.members.onReturn((id, isFirst) => {
      this.#doubtMs = options.clock.nowMs();
      this.doubt(isFirst ? 'no other node was heard for a while' : `node ${id} was not heard for a while`, isFirst);
    });
    this.#moveLater();
  }

  /**
   * A lease for a disk that this node owns from now on.
   *
   * @param sinceMs when the change of owner, or of files, began that has ended so
   */
  open(epoch: number, sinceMs = Number.POSITIVE_INFINITY): DiskLease<Word> {
    const lease: DiskLease<Word> = new DiskLease({
      word: this.#options.createWord(),
      epoch,
      settled: () => this.settled(),
      onEnd: (ended) => this.#leases.delete(ended),
      clock: this.#options.clock,
    });
    this.#leases.add(lease);
    // Else it is in doubt already.
    if (!this.#isRunning()) return lease;
    if (this.#round !== undefined) this.#isDoubtNew = true;
    // About it alone: the leases of others hold meanwhile.
    else if (sinceMs <= this.#doubtMs) this.#round = this.#ask(false);
    else lease.word.open(leaseMs);
    return lease;
  }

  /** Resolves when this node has found out whether it may answer. */
  async settled(): Promise<void> {
    if (this.#closed) throw new AbortedError('leave to answer for a disk');
    if (this.#round === undefined) this.#move();
    await this.#round;
  }

  /** Others may know better whose the disks are: nothing is answered before they were asked. */
  doubt(reason: string, isCutOff = true): void {
    if (this.#closed || this.#leases.size === 0) return;
    for (const { word } of this.#leases) word.close();
    this.#isDoubtNew = true;
    if (this.#round !== undefined) return;
    this.#options.log.info({ reason, disks: this.#leases.size }, 'asks the other nodes whose the disks are before it answers for them');
    this.#round = this.#ask(isCutOff);
  }

  /**
   * Resolves when the leases of a silent node must have passed, if it does not run. Resolves at once when it is up.
   *
   * A node that runs, and is cut off, goes on: it asks when it hears the others again.
   */
  async outlive(id: string): Promise<void> {
    const { clock, members } = this.#options;
    for (;;) {
      const leftMs = leaseMs + marginMs - members.silentMs(id);
      if (leftMs <= 0 || members.up().some((node) => node.id === id)) return;
      await new Promise<void>((resolve) => void clock.after(leftMs, resolve));
    }
  }

  close(): void {
    this.#closed = true;
    this.#endReturns();
    this.#cancelMove();
  }

  #moveLater(): void {
    if (this.#closed) return;
    this.#cancelMove = this.#options.clock.after(moveMs, () => {
      this.#move();
      this.#moveLater();
    });
  }

  #move(): void {
    if (!this.#isRunning()) return;
    this.#running.extend(leaseMs);
    for (const { word } of this.#leases) {
      if (word.extend(leaseMs) || this.#round !== undefined) continue;
      this.doubt('a lease has passed');
      return;
    }
  }

  /** False, and doubt, when this process did not run for a while. */
  #isRunning(): boolean {
    if (this.#running.isValid()) return true;
    this.#running.open(leaseMs);
    this.#doubtMs = this.#options.clock.nowMs();
    this.doubt('this process did not run for a while');
    return false;
  }

  /** Asks until all have told since the last cause of doubt, then opens the leases. */
  async #ask(isCutOff: boolean): Promise<void> {
    const { clock, log } = this.#options;
    let look = isCutOff;
    do {
      this.#isDoubtNew = false;
      const told = await new OwnerRound({
        ...this.#options,
        endMs: clock.nowMs() + answerMs,
        isCutOff: look,
        isClosed: () => this.#closed,
      }).run();
      look = true;
      if (!told) log.warn({ waitedMs: answerMs }, 'no other node says whose the disks are: this node goes on as their owner');
    } while (!this.#closed && (!this.#isRunning() || this.#isDoubtNew));
    // In one turn: a doubt that comes from here on begins another round.
    this.#round = undefined;
    // What nobody else was named the owner of is this node's still.
    for (const { word } of this.#leases) word.open(leaseMs);
  }
}
