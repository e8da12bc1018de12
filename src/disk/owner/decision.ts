/**
 * The decisions of this node about handovers to it: the epochs that it accepts, and those that it promises never to
 * accept. Both are made here, so that nobody is told `refused` of an epoch that is being accepted.
 *
 * Invariants: an epoch is accepted or refused, never both; an answer is durable before it is given; nobody waits here,
 * so two nodes that ask each other can't wait for each other.
 */
import { CopseError } from '../../base/error.js';
import type { DiskNotes } from '../session/notes.js';

export interface HandoverDecisionsOptions {
  notes: DiskNotes;
  /** The last epoch under which this node owned the disk, durably; 0: it never did. */
  heldEpoch(uuid: string): number;
}

export type Decision = 'accepted' | 'pending' | 'refused';

interface Acceptance {
  epoch: number;
  /** By then. */
  heldEpoch: number;
}

export class HandoverDecisions {
  readonly #options: HandoverDecisionsOptions;
  /** Acceptances that are under way, by uuid. */
  readonly #underWay = new Map<string, Acceptance>();

  constructor(options: HandoverDecisionsOptions) {
    this.#options = options;
  }

  /**
   * Begins an acceptance: nobody is told `refused` of the disk until the returned function is called.
   *
   * @throws CopseError `ERR_NOT_OWNER` when the epoch was refused, `ERR_BUSY` when another acceptance is under way
   */
  begin(uuid: string, epoch: number): () => void {
    const { notes, heldEpoch } = this.#options;
    if (notes.refusedEpoch(uuid) >= epoch) {
      throw new CopseError('ERR_NOT_OWNER', `disk ${uuid}: this node has promised not to accept epoch ${epoch}; ask for it again`);
    }
    if (this.#underWay.has(uuid)) throw new CopseError('ERR_BUSY', `disk ${uuid}: this node accepts it just now; ask again`);
    const acceptance = { epoch, heldEpoch: heldEpoch(uuid) };
    this.#underWay.set(uuid, acceptance);
    return () => {
      if (this.#underWay.get(uuid) === acceptance) this.#underWay.delete(uuid);
    };
  }

  /**
   * Answers whether this node has accepted the epoch. `refused` is a durable promise.
   *
   * @param isTakingOver whether this node is about to accept some epoch
   */
  resolve(uuid: string, epoch: number, isTakingOver: boolean): Decision {
    const { notes, heldEpoch } = this.#options;
    const underWay = this.#underWay.get(uuid);
    // The files of one that is under way may name an epoch that is not durable yet.
    if (underWay !== undefined) return underWay.heldEpoch >= epoch ? 'accepted' : 'pending';
    if (heldEpoch(uuid) >= epoch) return 'accepted';
    if (isTakingOver) return 'pending';
    notes.refuse(uuid, epoch);
    return 'refused';
  }
}
