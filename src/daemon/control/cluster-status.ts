/**
 * Status of the cluster: all members, their states, and the images for which they are not trusted.
 */
import type { ClusterStatus, MemberStatus } from '../../admin/schema-cluster.js';
import { systemClock } from '../../base/clock.js';
import { displayUrl } from '../../base/display-url.js';
import type { Content } from '../../image/content.js';
import type { Cluster } from '../cluster/cluster.js';

export function clusterStatus(cluster: Cluster, contents: readonly Content[]): ClusterStatus {
  const { self, liveCluster, membership, reason } = cluster;
  const { id, address, donatedBytes, draining, cluster: name } = self.record;
  return {
    enabled: true,
    node: { id, address, donatedBytes, draining },
    name,
    reason,
    membership: membership.status,
    cutOff: liveCluster.isCutOff,
    members: liveCluster.members().map(({ attached: _attached, disks: _disks, ...member }): MemberStatus => {
      return { ...member, breaker: cluster.breakerOf(member.id).state, setAside: setAsideOf(member.id, contents) };
    }),
  };
}

function setAsideOf(peerId: string, contents: readonly Content[]): MemberStatus['setAside'] {
  return contents.flatMap(({ spec, clustered }) =>
    (clustered?.trust.setAside ?? [])
      .filter((aside) => aside.peerId === peerId)
      .map(({ reason, atMs }) => ({ image: displayUrl(spec.url), reason, seconds: Math.round((systemClock.nowMs() - atMs) / 1000) })),
  );
}
