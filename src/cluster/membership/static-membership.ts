/** The peers that the configuration names: always there, never changing. Who of them is well, and who they are, is learnt by asking them. */
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

  /** Whoever asks this node hears it. */
  announce(_record: NodeRecord): void {}

  close(): void {}
}
