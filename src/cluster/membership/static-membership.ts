/**
 * The peers that the configuration names: always there, never changing. Pings tell which of them
 * are well, and their ids.
 */
import type { NodeRecord } from '../node.js';
import type { Membership, MembershipStatus, Seed } from './membership.js';
import { otherPeers, type ResolveHost } from './peer-list.js';

export class StaticMembership implements Membership {
  readonly seeds: readonly Seed[];
  readonly status: MembershipStatus = { kind: 'static', well: true };

  private constructor(addresses: readonly string[]) {
    this.seeds = addresses.map((address) => ({ address }));
  }

  /**
   * @param peers HOST:PORT each; this node's own may be among them
   * @param self HOST:PORT where peers reach this node
   * @throws CopseError `ERR_URL`
   */
  static async open(peers: readonly string[], self: string, resolve?: ResolveHost): Promise<StaticMembership> {
    return new StaticMembership(await otherPeers(peers, self, resolve));
  }

  onChange(_listener: () => void): () => void {
    return () => {};
  }

  /** Nodes that ping this node hear of the change. */
  announce(_record: NodeRecord): void {}

  close(): void {}
}
