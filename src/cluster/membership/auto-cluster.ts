/**
 * Finds the cluster of a node whose configuration says `auto`. It measures, lets `chooseCluster`
 * choose, and remembers.
 *
 * Two neighbours that start together must not found two clusters. All nodes may measure at once.
 * They choose and join one after another, under a lock in etcd, and the second one measures the
 * nodes that joined meanwhile.
 *
 * Invariants: a remembered choice is kept without a measurement. A choice that was made without
 * etcd is not remembered.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { errorMessage } from '../../base/error.js';
import type { EtcdClient } from '../../base/etcd/client.js';
import { withEtcdLock } from '../../base/etcd/lock.js';
import { holdProcess } from '../../base/hold.js';
import type { Logger } from '../../base/log.js';
import { type ClusterMeasurement, chooseCluster } from '../auto.js';
import type { NodeRecord } from '../node.js';
import type { NodeIdentity } from './node-identity.js';

/** The needed part of an `EtcdMembership`: loaded, not joined. */
export interface NodeDirectory {
  readonly allNodes: readonly NodeRecord[];
  refresh(): Promise<void>;
}

export interface AutoClusterOptions {
  nodes: NodeDirectory;
  identity: NodeIdentity;
  client: EtcdClient;
  /** Prefix of the keys, as of the membership. */
  prefix: string;
  nodeId: string;
  thresholdUs: number;
  /** Limit of members, this node included. */
  maxMembers: number;
  /** @returns the round trip to a node's address, in µs */
  measure(address: string): Promise<number>;
  clock: Clock;
  log: Logger;
  /** Publishes the choice before another node chooses: joins with a record of that cluster. */
  join(cluster: string): Promise<void>;
}

export interface AutoCluster {
  name: string;
  /** Reason of the choice, for people. */
  reason: string;
  /**
   * True if etcd was away, so that nothing was measured or remembered: choose again when it is
   * back.
   */
  provisional: boolean;
}

/**
 * Members measured per cluster. A few tell its distance, so not each starting node asks a thousand
 * others.
 */
const measuredPerCluster = 3;
const concurrentMeasurements = 16;
const measureTimeoutMs = 1000;
/** Time for all other nodes that choose at once, in ms. */
const lockTimeoutMs = 20_000;

/**
 * Joins the remembered cluster, or chooses one and joins that. @throws what `join` throws, Error of
 * the file system
 */
export async function joinAutoCluster(options: AutoClusterOptions): Promise<AutoCluster> {
  const { identity, join, nodeId, nodes, client, prefix, clock, log } = options;
  const remembered = identity.choice;
  if (remembered !== undefined) {
    await join(remembered.name);
    return { name: remembered.name, reason: `chosen ${remembered.chosenAt}: ${remembered.reason}`, provisional: false };
  }
  const measured = new Map<string, number | undefined>();
  const joining = { begun: false };
  const choose = async (): Promise<AutoCluster> => {
    await nodes.refresh();
    const choice = chooseCluster({ ...options, nodeId, measurements: await measureAll(options, measured) });
    joining.begun = true;
    await join(choice.name);
    identity.remember({ name: choice.name, reason: choice.reason, chosenAt: new Date().toISOString() });
    log.info({ cluster: choice.name, reason: choice.reason }, 'chose a cluster');
    return { name: choice.name, reason: choice.reason, provisional: false };
  };
  try {
    await nodes.refresh();
    await measureAll(options, measured);
    return await holdProcess(withEtcdLock({ client, key: `${prefix}/lock/auto`, clock, timeoutMs: lockTimeoutMs }, choose));
  } catch (error) {
    if (joining.begun) throw error;
    const { name } = chooseCluster({ ...options, measurements: [] });
    const reason = `alone for now: etcd could not be asked which clusters there are (${errorMessage(error)})`;
    log.warn({ cluster: name, reason: errorMessage(error) }, 'no cluster is chosen yet: etcd is away');
    await join(name);
    return { name, reason, provisional: true };
  }
}

/**
 * @param measured results of earlier rounds by address; `undefined` for a node that did not answer
 */
async function measureAll(options: AutoClusterOptions, measured: Map<string, number | undefined>): Promise<ClusterMeasurement[]> {
  const clusters = new Map<string, NodeRecord[]>();
  for (const node of options.nodes.allNodes) clusters.set(node.cluster, [...(clusters.get(node.cluster) ?? []), node]);
  const samples = [...clusters].flatMap(([cluster, members]) =>
    sample(members).map(({ address }) => ({ cluster, memberCount: members.length, address })),
  );
  const missing = [...new Set(samples.map(({ address }) => address))].filter((address) => !measured.has(address));
  const measureNext = async (): Promise<void> => {
    for (let address = missing.pop(); address !== undefined; address = missing.pop())
      measured.set(address, await measureOne(options, address));
  };
  await Promise.all(Array.from({ length: Math.min(concurrentMeasurements, missing.length) }, measureNext));
  return samples.map(({ cluster, memberCount, address }) => ({ cluster, memberCount, rttUs: measured.get(address) }));
}

/** A fixed sample, spread over the members. */
function sample(members: readonly NodeRecord[]): NodeRecord[] {
  const step = Math.max(1, members.length / measuredPerCluster);
  return members.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step)).slice(0, measuredPerCluster);
}

async function measureOne({ measure, clock, log }: AutoClusterOptions, address: string): Promise<number | undefined> {
  try {
    return await holdProcess(waitFor(`measurement of ${address}`, measure(address), { timeoutMs: measureTimeoutMs, clock }));
  } catch (error) {
    log.debug({ address, reason: errorMessage(error) }, 'a node did not answer the measurement of its distance');
    return undefined;
  }
}
