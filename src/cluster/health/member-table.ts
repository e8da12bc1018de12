/**
 * The members of the cluster that are up, each with its peer.
 *
 * Invariant: a peer in the table answered its last ping. A peer that leaves the table is destroyed,
 * so all requests that wait for it fail at once.
 */
import type { NodeStatement } from '../node.js';
import type { Peer } from '../peer.js';
import type { Verdict } from './member-verdict.js';
import type { LiveNode } from './view.js';

/** A peer that the live cluster can declare gone. */
export interface LivePeer extends Peer {
  /**
   * Fails everything that waits for the peer, and all later requests, with `ERR_PEER_GONE`.
   *
   * @param reason for people
   */
  destroy(reason: string): void;
}

export type OpenPeer = (id: string, address: string) => LivePeer;

/** A member that answers now, and was silent for longer than a ping's timeout or never heard. */
export interface ReturnedMember {
  id: string;
  /** True if no other member was up. */
  isFirst: boolean;
}

interface Member {
  address: string;
  /** Start of the peer's process; another start is another peer. */
  startedAt: string;
  token: string;
  peer: LivePeer;
}

export interface MemberTableOptions {
  openPeer: OpenPeer;
  /** Silence after which an answer counts as a return, in ms. */
  pingTimeoutMs: number;
  /** Silence that the last answer of an address ended, in ms. */
  silenceMs(address: string): number;
}

export class MemberTable {
  readonly #options: MemberTableOptions;
  /** Members by id. */
  readonly #members = new Map<string, Member>();
  /** Ids of all nodes that ever were members. */
  readonly #met = new Set<string>();
  #returned: ReturnedMember[] = [];

  constructor(options: MemberTableOptions) {
    this.#options = options;
  }

  has(id: string): boolean {
    return this.#members.has(id);
  }

  peer(id: string): LivePeer | undefined {
    return this.#members.get(id)?.peer;
  }

  addressOf(id: string): string | undefined {
    return this.#members.get(id)?.address;
  }

  /**
   * Follows the verdicts: nodes that became members come, others go.
   *
   * @param verdicts by address
   * @returns true if a member came, went, or began anew
   */
  update(verdicts: ReadonlyMap<string, Verdict>): boolean {
    const live = liveById(verdicts);
    let changed = false;
    for (const [id, { address, startedAt, token }] of [...this.#members]) {
      const now = live.get(id);
      if (now === undefined) this.#part(id, reasonOf(verdicts.get(address)));
      else if (now.address !== address) this.#part(id, `it is at ${now.address} now`);
      else if (now.statement.startedAt !== startedAt || now.statement.token !== token) this.#part(id, 'it was started anew');
      else continue;
      changed = true;
    }
    for (const [id, { address, statement }] of live) {
      if (this.#members.has(id)) continue;
      this.#meet(id, address, statement);
      changed = true;
    }
    return changed;
  }

  /** @returns the members that have come back since the last call */
  takeReturned(): ReturnedMember[] {
    return this.#returned.splice(0);
  }

  /** @returns the members with their statements, in no order */
  liveNodes(verdicts: ReadonlyMap<string, Verdict>): LiveNode[] {
    return [...this.#members.values()].flatMap(({ address, peer }) => {
      const verdict = verdicts.get(address);
      return verdict?.kind === 'member' ? [{ statement: verdict.statement, peer }] : [];
    });
  }

  /** @param reason for people */
  close(reason: string): void {
    for (const id of [...this.#members.keys()]) this.#part(id, reason);
  }

  #meet(id: string, address: string, { startedAt, token }: NodeStatement): void {
    const { openPeer, pingTimeoutMs, silenceMs } = this.#options;
    if (!this.#met.has(id) || silenceMs(address) >= pingTimeoutMs) this.#returned.push({ id, isFirst: this.#members.size === 0 });
    this.#met.add(id);
    this.#members.set(id, { address, startedAt, token, peer: openPeer(id, address) });
  }

  #part(id: string, reason: string): void {
    this.#members.get(id)?.peer.destroy(reason);
    this.#members.delete(id);
  }
}

function liveById(verdicts: ReadonlyMap<string, Verdict>): Map<string, { address: string; statement: NodeStatement }> {
  const live = new Map<string, { address: string; statement: NodeStatement }>();
  for (const [address, verdict] of verdicts) {
    if (verdict.kind === 'member') live.set(verdict.statement.id, { address, statement: verdict.statement });
  }
  return live;
}

function reasonOf(verdict: Verdict | undefined): string {
  return verdict !== undefined && 'message' in verdict ? verdict.message : 'it left';
}
