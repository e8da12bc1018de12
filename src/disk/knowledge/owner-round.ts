/**
 * One round of questions: whose are the disks that this node owns, as far as it knows?
 *
 * Invariant: a round settles the question when all members that are up have told, or etcd where no member is up. Who
 * comes up in its course is asked, too.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NodeRef } from '../protocol/record.js';

/** What a node says of one disk: the latest owner that it knows. */
export interface OwnerClaim {
  uuid: string;
  epoch: number;
  owner: NodeRef;
}

/** The members of the cluster, as far as leases depend on them. */
export interface LeaseMembers {
  /** True if the cluster has members besides this node, up or not. */
  readonly hasOthers: boolean;
  /** Nodes that answer. */
  up(): NodeRef[];
  /** Pings those that are down once, without delay. Resolves when each has answered, or has not. */
  look(): Promise<void>;
  /**
   * Calls back when a member answers that was not heard for longer than the pings' patience.
   *
   * @returns ends it
   */
  onReturn(listener: (id: string, isFirst: boolean) => void): () => void;
  /** How long the node has been silent: since the first ping that it did not answer, in ms. 0 while it is up. */
  silentMs(id: string): number;
  /** The latest owners that the node knows of these disks. */
  ask(node: NodeRef, uuids: string[], options: { timeoutMs: number }): Promise<OwnerClaim[]>;
  /** The same from an index of all disks. Absent: there is none. */
  readonly askIndex?: ((uuids: string[]) => Promise<OwnerClaim[]>) | undefined;
}

/** A disk that this node owns. */
export interface LeasedDisk {
  uuid: string;
  epoch: number;
  /** Another node claims it under a later epoch. A promise that it returns settles when the claim is proven or has failed. */
  claimed(epoch: number, owner: NodeRef): unknown;
}

export interface OwnerRoundOptions {
  members: LeaseMembers;
  owned(): LeasedDisk[];
  clock: Clock;
  log: Logger;
  /** When the round ends, whoever has told, by the clock. */
  endMs: number;
  /** True if members that are down may be back, unheard: they are pinged first. */
  isCutOff: boolean;
  isClosed(): boolean;
}

/** How long one member is waited for before it is asked again, in ms. */
const askMs = 2000;
/** Before who did not answer is asked again, in ms. */
const againMs = 200;
/** Disks that one call asks about: the call fits its bound of 64 KiB. */
const maxAsked = 1000;

export class OwnerRound {
  readonly #options: OwnerRoundOptions;
  /** Ids of members that have told. */
  readonly #told = new Set<string>();
  #isIndexTold = false;

  constructor(options: OwnerRoundOptions) {
    this.#options = options;
  }

  /** Resolves to whether anybody told. Never rejects. */
  async run(): Promise<boolean> {
    const { members, owned, clock, endMs, isCutOff, isClosed } = this.#options;
    const uuids = owned().map(({ uuid }) => uuid);
    if (uuids.length === 0) return true;
    if (members.askIndex !== undefined) void this.#quietly(this.#askIndex(members.askIndex(uuids)));
    let looked: Promise<void> | undefined = isCutOff ? this.#quietly(members.look()) : undefined;
    for (;;) {
      const up = members.up().filter(({ id }) => !this.#told.has(id));
      await Promise.all([...up.map((node) => this.#quietly(this.#askNode(node, uuids))), looked]);
      looked = undefined;
      const isOpen = members.up().some(({ id }) => !this.#told.has(id));
      const hasTold = this.#told.size > 0 || this.#isIndexTold;
      if (!isOpen && (hasTold || !members.hasOthers)) return true;
      const leftMs = endMs - clock.nowMs();
      if (isClosed() || leftMs <= 0) return hasTold;
      if (up.length === 0 || isOpen) await new Promise<void>((resolve) => void clock.after(Math.min(againMs, leftMs), resolve));
    }
  }

  async #askIndex(claims: Promise<OwnerClaim[]>): Promise<void> {
    await this.#believe(await claims);
    this.#isIndexTold = true;
  }

  async #askNode(node: NodeRef, uuids: string[]): Promise<void> {
    const { members, clock, endMs } = this.#options;
    for (let at = 0; at < uuids.length; at += maxAsked) {
      const timeoutMs = Math.max(1, Math.min(askMs, endMs - clock.nowMs()));
      const answer = members.ask(node, uuids.slice(at, at + maxAsked), { timeoutMs });
      await this.#believe(await waitFor(`node ${node.id}: owners of disks`, answer, { timeoutMs, clock }));
    }
    this.#told.add(node.id);
  }

  /** Disks that another node owns under a later epoch are not this node's any more. */
  async #believe(claims: OwnerClaim[]): Promise<void> {
    const owned = new Map(this.#options.owned().map((disk) => [disk.uuid, disk]));
    for (const { uuid, epoch, owner } of claims) {
      const disk = owned.get(uuid);
      if (disk !== undefined && epoch > disk.epoch) await disk.claimed(epoch, owner);
    }
  }

  #quietly(work: Promise<void>): Promise<void> {
    return work.catch((error: unknown) => this.#options.log.debug({ reason: errorMessage(error) }, 'no word of the disks from there'));
  }
}
