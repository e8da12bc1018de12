/**
 * Requests of nodes, guests and operators to a disk's ownership on this node. Each one is one piece
 * of work for the machine, and settles with its reply.
 */
import type { DiskFolder } from '../folder/folder.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { Handover, HandoverReason } from '../protocol/call.js';
import type { Proof } from '../protocol/chain.js';
import type { NodeRef } from '../protocol/record.js';
import type { DiskSession } from '../session/session.js';
import type { Ownership } from './ownership.js';
import type { Decision, Work } from './state.js';
import type { Wish } from './wish.js';

export abstract class OwnershipRequests {
  abstract readonly ownership: Ownership;
  #takingOver: Promise<void> | undefined;

  /** @throws CopseError `ERR_BUSY` when the registry has let go of the disk */
  protected abstract checkPresent(): void;

  get isOwner(): boolean {
    return this.ownership.isOwner;
  }

  /** Reasons why former owners do not give blocks that only they have, by id. */
  get trouble(): ReadonlyMap<string, string> {
    return this.ownership.upkeep.trouble;
  }

  /** True while a takeover is under way, or waits. */
  get isTakingOver(): boolean {
    return this.ownership.isTaking;
  }

  /** True while its owner or its files are being changed, or wait to be opened. */
  get isBusy(): boolean {
    return this.#takingOver !== undefined || this.ownership.isBusy;
  }

  protected get takingOver(): Promise<void> | undefined {
    return this.#takingOver;
  }

  /**
   * Hands the disk over. The answer is the same for the same node until that has accepted.
   *
   * @throws CopseError `ERR_NOT_OWNER`, `ERR_HANDOVER_EXPLICIT`; what the last flush rejects with
   */
  async grant(to: NodeRef, reason: HandoverReason): Promise<Handover> {
    return (await this.#job({ kind: 'grant', node: to, reason })) as Handover;
  }

  /** The node to which it was granted says that it owns it. */
  async accepted(epoch: number, by: NodeRef): Promise<void> {
    await this.ownership.request({ kind: 'accepted', epoch, node: by });
  }

  /**
   * Hears that a node claims the disk under a later epoch. This node lets go of it on proof.
   *
   * @param isTrusted true if nothing is acknowledged until the claim is judged
   * @returns the proof; `undefined` when the claim is about nothing here
   */
  async claimed(node: NodeRef, epoch: number, isTrusted: boolean, prove: () => Promise<Proof>): Promise<Proof | undefined> {
    return (await this.ownership.request({ kind: 'claim', node, epoch, isTrusted }, { prove })) as Proof | undefined;
  }

  /** Answers whether this node has accepted the epoch. `refused` is a durable promise. */
  async resolve(epoch: number): Promise<Decision> {
    return (await this.ownership.request({ kind: 'resolve', epoch })) as Decision;
  }

  /**
   * @returns true if the files here may go, as the owner says
   * @throws CopseError `ERR_NOT_OWNER`, `ERR_NOT_YET`
   */
  async release(epoch: number, by: NodeRef): Promise<boolean> {
    return (await this.ownership.request({ kind: 'release', epoch, node: by })) === 'proven';
  }

  /**
   * Makes this node the owner, by the owner's leave. Callers share a takeover that is under way.
   *
   * @param writer session whose change is the reason
   */
  takeOver(reason: HandoverReason, writer?: DiskSession): Promise<void> {
    try {
      this.checkPresent();
    } catch (error) {
      return Promise.reject(error);
    }
    this.#takingOver ??= this.ownership
      .request({ kind: 'take', reason }, { writer })
      .then(() => {})
      .finally(() => {
        this.#takingOver = undefined;
        this.ownership.idle();
      });
    return this.#takingOver;
  }

  /** Runs something that needs the disk to stand still, flushed, as owner. */
  async frozen<T>(work: (hosted: HostedDisk) => Promise<T>): Promise<T> {
    return (await this.#job({ kind: 'still' }, { work: (hosted) => work(hosted as HostedDisk) })) as T;
  }

  /** Changes the files of the disk while they are closed. Then opens them, even after a failure. */
  async replaced(change: (folder: DiskFolder) => Promise<void>, open: (folder: DiskFolder) => Promise<HostedDisk>): Promise<void> {
    await this.#job({ kind: 'replace' }, { work: (hosted) => change((hosted as HostedDisk).folder), open });
  }

  /** Opens files of the disk that lie here and serves it, unless they are open. */
  async host(open: () => Promise<HostedDisk>): Promise<void> {
    await this.#job({ kind: 'host' }, { work: open });
  }

  /**
   * Works with the files of a disk that this node does not own. Files that it opens are served.
   *
   * @throws CopseError `ERR_NOT_OWNER` if this node owns the disk
   */
  async receive(work: (hosted: HostedDisk | undefined) => Promise<HostedDisk>): Promise<void> {
    await this.#job({ kind: 'receive' }, { work });
  }

  /** Makes it this node's by force, under an epoch that no other node can have given. */
  async seize(self: NodeRef): Promise<void> {
    await this.#job({ kind: 'seize', node: self, at: new Date().toISOString() });
  }

  /**
   * The blocks of this node go, for good.
   *
   * @param check throws the error that keeps the files; it is called again in the turn in which the
   * files are let go of
   * @param epoch the owner's, whose release this is; absent: an operator's word
   */
  async remove(check: (hosted: HostedDisk) => void, epoch?: number): Promise<void> {
    await this.#job({ kind: 'remove', epoch }, { check });
  }

  async #job(work: Omit<Work, 'phase' | 'id'>, wish?: Wish): Promise<unknown> {
    this.checkPresent();
    return this.ownership.request(work, wish);
  }
}
