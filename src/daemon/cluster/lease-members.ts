/**
 * Members of the cluster for the leases of disks. Pings come from the live cluster, owners from
 * calls and from etcd's index.
 */
import { errorCode } from '../../base/error.js';
import type { LeaseMembers, OwnerClaim } from '../../disk/knowledge/owner-round.js';
import type { NodeRef } from '../../disk/protocol/record.js';
import type { RemoteNodes } from '../../disk/protocol/remote-nodes.js';
import type { Cluster } from './cluster.js';

export class ClusterLeaseMembers implements LeaseMembers {
  readonly askIndex: ((uuids: string[]) => Promise<OwnerClaim[]>) | undefined;
  readonly #cluster: Cluster;
  readonly #peers: RemoteNodes;

  /** @param askIndex asks etcd's index of disks; absent without etcd */
  constructor(cluster: Cluster, peers: RemoteNodes, askIndex: ((uuids: string[]) => Promise<OwnerClaim[]>) | undefined) {
    this.#cluster = cluster;
    this.#peers = peers;
    this.askIndex = askIndex;
  }

  get hasOthers(): boolean {
    return this.#cluster.liveCluster.members().length > 1;
  }

  up(): NodeRef[] {
    return this.#peers.up();
  }

  look(): Promise<void> {
    return this.#cluster.liveCluster.look();
  }

  onReturn(listener: (id: string, isFirst: boolean) => void): () => void {
    return this.#cluster.liveCluster.onReturn(listener);
  }

  silentMs(id: string): number {
    return this.#cluster.liveCluster.silentMs(id);
  }

  async ask(node: NodeRef, uuids: string[], options: { timeoutMs: number }): Promise<OwnerClaim[]> {
    try {
      const { disks } = await this.#peers.call(node, 'disk.epoch', { uuids }, options);
      return disks.filter(({ owner }) => owner.id !== this.#peers.self.id);
    } catch (error) {
      if (errorCode(error) !== 'ERR_NO_SUCH_METHOD') throw error;
      return this.#asStated(node, new Set(uuids));
    }
  }

  /** Asks an older node, whose statement tells of its disks with the next ping. */
  async #asStated(node: NodeRef, uuids: ReadonlySet<string>): Promise<OwnerClaim[]> {
    const { liveCluster } = this.#cluster;
    await liveCluster.refresh();
    const { disks = [] } = liveCluster.members().find(({ id }) => id === node.id) ?? {};
    return disks.flatMap(({ uuid, epoch }) => (uuids.has(uuid) ? [{ uuid, epoch, owner: node }] : []));
  }
}
