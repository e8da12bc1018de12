/** Makes this node's part in its cluster from the configuration, by a static list or by etcd. */
import { systemClock } from '../../base/clock.js';
import type { EtcdClient } from '../../base/etcd/client.js';
import type { Logger } from '../../base/log.js';
import { version } from '../../base/version.js';
import type { LiveCluster } from '../../cluster/live-cluster.js';
import { joinAutoCluster } from '../../cluster/membership/auto-cluster.js';
import { EtcdMembership } from '../../cluster/membership/etcd-membership.js';
import { NodeIdentity } from '../../cluster/membership/node-identity.js';
import { StaticMembership } from '../../cluster/membership/static-membership.js';
import { tcpRttUs } from '../../cluster/membership/tcp-rtt.js';
import { type NodeRecord, protocolVersion } from '../../cluster/node.js';
import type { ClusterConfig, Config, EtcdConfig } from '../../config/schema.js';
import { Cluster, type ClusterOptions } from './cluster.js';

export interface JoinOptions {
  config: Config;
  /** Files of the state directory with this node's identity and the last known nodes. */
  paths: { nodePath: string; neighboursPath: string };
  /** Present with etcd in the configuration. */
  etcd: EtcdClient | undefined;
  usedBytes(): number;
  log: Logger;
}

/** Cluster of an `auto` node before it has chosen. No other node hears of it. */
const noCluster = 'none-yet';
const rttTimeoutMs = 1000;

/**
 * Makes the cluster, of which other nodes hear after `start`; `undefined` if the configuration has
 * none.
 */
export async function joinCluster(options: JoinOptions): Promise<Cluster | undefined> {
  const { config, paths, usedBytes, log, etcd: client } = options;
  const { node, cluster, etcd } = config;
  if (cluster === undefined || node.address === undefined || node.listen === undefined) return undefined;
  const identity = new NodeIdentity(paths.nodePath, log);
  const record: NodeRecord = {
    protocol: protocolVersion,
    version,
    id: node.id,
    token: identity.token,
    cluster: cluster.name ?? noCluster,
    address: node.address,
    donatedBytes: cluster.donatedBytes,
    draining: false,
  };
  const common = {
    config: cluster,
    record,
    identity,
    listen: node.listen,
    usedBytes,
    guestDeadlineMs: config.imageDefault.deadlineMs,
    log,
  };
  if (etcd === undefined || client === undefined) {
    const membership = await StaticMembership.open(cluster.members, node.address);
    return new Cluster({ ...common, membership, enter: async () => ({ name: record.cluster, reason: 'as configured' }) });
  }
  return etcdCluster({ ...common, etcd, client, viewPath: paths.neighboursPath });
}

function etcdCluster(
  options: Omit<ClusterOptions, 'membership' | 'enter'> & {
    config: ClusterConfig;
    etcd: EtcdConfig;
    client: EtcdClient;
    viewPath: string;
  },
): Cluster {
  const { config, record, identity, etcd, client, viewPath, log } = options;
  const { prefix } = etcd;
  const { id, token } = record;
  const membership = new EtcdMembership({
    client,
    prefix,
    id,
    token,
    viewPath,
    log,
  });
  const join = (name: string): Promise<void> => membership.join({ ...record, cluster: name });
  const enter = async (liveCluster: LiveCluster): Promise<{ name: string; reason: string }> => {
    membership.keepWhile((peerId) => liveCluster.peer(peerId) !== undefined);
    await membership.load();
    const { name } = config;
    if (name !== undefined) {
      await join(name);
      return { name, reason: 'as configured' };
    }
    return joinAutoCluster({
      nodes: membership,
      identity,
      client,
      prefix,
      nodeId: id,
      thresholdUs: config.autoRttUs,
      maxMembers: config.maxMembers,
      measure: (address) => tcpRttUs(address, rttTimeoutMs),
      clock: systemClock,
      log,
      join,
    });
  };
  return new Cluster({ ...options, membership, enter });
}
