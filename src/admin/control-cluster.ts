/** Operations on the cluster of a daemon. */
import type { ClusterImageStatus, ClusterMoveResult, ClusterStatus } from './schema-cluster.js';

export interface ClusterControl {
  /** On a single host `enabled` is false, and there are no members. */
  status(): Promise<ClusterStatus>;
  /**
   * @param name of a cluster, or `auto` to choose anew by measurement
   * @throws CopseError `ERR_NOT_CLUSTERED`, `ERR_NAME`, `ERR_OPTION` (auto without etcd),
   *   `ERR_ETCD_UNAVAILABLE`
   */
  move(name: string): Promise<ClusterMoveResult>;
  /** @throws CopseError `ERR_NOT_CLUSTERED`, `ERR_NO_SUCH_IMAGE` */
  imageStatus(name: string): Promise<ClusterImageStatus>;
}
