/** `ClusterControl` over this node's part in its cluster. */
import type { ClusterControl } from '../../admin/control-cluster.js';
import type { ClusterImageStatus, ClusterMoveResult, ClusterStatus } from '../../admin/schema-cluster.js';
import type { NodeConfig } from '../../config/schema.js';
import type { ContentPool } from '../../image/content-pool.js';
import { type Cluster, requireCluster } from '../cluster/cluster.js';
import { clusterImageStatus } from './cluster-image.js';
import { clusterStatus } from './cluster-status.js';
import type { LeasedContents } from './leased-content.js';

export interface DaemonClusterOptions {
  /** Absent on a single host. */
  cluster: Cluster | undefined;
  contents: LeasedContents;
  pool: ContentPool;
  node: NodeConfig;
}

export class DaemonCluster implements ClusterControl {
  readonly #options: DaemonClusterOptions;

  constructor(options: DaemonClusterOptions) {
    this.#options = options;
  }

  async status(): Promise<ClusterStatus> {
    const { cluster, pool, node } = this.#options;
    if (cluster !== undefined) return clusterStatus(cluster, pool.contents);
    return {
      enabled: false,
      node: { id: node.id, address: node.address, donatedBytes: 0, draining: false },
      name: '',
      reason: 'this node is in no cluster',
      membership: { kind: 'none', well: true },
      cutOff: false,
      members: [],
    };
  }

  async move(name: string): Promise<ClusterMoveResult> {
    return requireCluster(this.#options.cluster).move(name);
  }

  async imageStatus(name: string): Promise<ClusterImageStatus> {
    const { contents } = this.#options;
    const cluster = requireCluster(this.#options.cluster);
    const { record } = contents.registry.get(name);
    return contents.withContainer(name, (content) => clusterImageStatus(record, content, cluster));
  }
}
