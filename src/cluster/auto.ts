/**
 * Which cluster a node belongs to when its configuration says `auto`: the nearest one within a threshold that has room, else one of its own.
 *
 * Pure, so that the choice can be tried on hundreds of hosts. Near is the median of the round-trip times to the cluster's members that answered: one
 * slow member, or one fast guess, decides nothing.
 *
 * Invariants: the same measurements, in any order, give the same choice; a choice once made stays until somebody tells the node to choose again;
 * a founded cluster's name comes from the node's id, so that two that found at once never share one by accident.
 */
import { hashText } from './rendezvous.js';

/** One member of an existing cluster that was asked. This node itself is not among them. */
export interface ClusterMeasurement {
  cluster: string;
  /** Of the whole cluster without this node, measured or not. */
  memberCount: number;
  /** `undefined`: it did not answer. */
  rttUs: number | undefined;
}

export interface ClusterChoiceOptions {
  nodeId: string;
  measurements: readonly ClusterMeasurement[];
  /** A cluster at this distance is still near enough. */
  thresholdUs: number;
  /** With this node. */
  maxMembers: number;
  /** What was chosen earlier, if it is to be kept; leave it out to choose again. */
  current?: string | undefined;
}

export interface ClusterChoice {
  name: string;
  /** For people: what was measured, and why this follows. */
  reason: string;
  /** Nobody is in it yet. */
  founded: boolean;
}

interface Cluster {
  name: string;
  memberCount: number;
  measuredCount: number;
  /** `undefined`: none of its members answered. */
  medianUs: number | undefined;
}

interface MeasuredCluster extends Cluster {
  medianUs: number;
}

/** As in `node.ts`. */
const nameLimit = 63;

export function chooseCluster(options: ClusterChoiceOptions): ClusterChoice {
  const { nodeId, thresholdUs, maxMembers, current } = options;
  const clusters = summarize(options.measurements);
  if (current !== undefined) return keep(current, clusters);
  const measured = clusters.filter((cluster): cluster is MeasuredCluster => cluster.medianUs !== undefined).sort(byDistance);
  const near = measured.filter(({ medianUs }) => medianUs <= thresholdUs);
  const chosen = near.find(({ memberCount }) => memberCount < maxMembers);
  if (chosen !== undefined) {
    const passed = near.slice(0, near.indexOf(chosen));
    const full = passed.length > 0 ? `; nearer but full: ${list(passed)}` : '';
    const reason = `joined ${describe(chosen)}: the nearest within ${thresholdUs} µs that has room${full}`;
    return { name: chosen.name, reason, founded: false };
  }
  const name = foundedName(nodeId, new Set(clusters.map((cluster) => cluster.name)));
  return { name, reason: `founded "${name}": ${whyFounded(clusters, measured, near, options)}`, founded: true };
}

function keep(current: string, clusters: readonly Cluster[]): ClusterChoice {
  const now = clusters.find(({ name }) => name === current);
  const measured = now === undefined ? 'no other member of it is known now' : `now ${describe(now)}`;
  return { name: current, reason: `stays in "${current}", chosen earlier; ${measured}`, founded: false };
}

function whyFounded(
  clusters: readonly Cluster[],
  measured: readonly MeasuredCluster[],
  near: readonly MeasuredCluster[],
  { thresholdUs, maxMembers }: ClusterChoiceOptions,
): string {
  if (clusters.length === 0) return 'there is no cluster yet';
  const [nearest] = measured;
  if (nearest === undefined) return `no member of ${list(clusters)} answered`;
  if (near.length > 0) return `every cluster within ${thresholdUs} µs has its ${maxMembers} members: ${list(near)}`;
  return `the nearest cluster is ${describe(nearest)}, beyond ${thresholdUs} µs`;
}

function describe({ name, medianUs, measuredCount, memberCount }: Cluster): string {
  if (medianUs === undefined) return `"${name}" (none of ${memberCount} members answered)`;
  return `"${name}" (median ${Math.round(medianUs)} µs to ${measuredCount} of ${memberCount} members)`;
}

/** The first few: the reason is a line for people. */
function list(clusters: readonly Cluster[]): string {
  const shown = clusters.slice(0, 3).map(describe);
  const more = clusters.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

/** Of two at one distance the larger one, which shares more; then by name, for the choice must not depend on the order. */
function byDistance(left: MeasuredCluster, right: MeasuredCluster): number {
  return left.medianUs - right.medianUs || right.memberCount - left.memberCount || (left.name < right.name ? -1 : 1);
}

/** Sorted by name. */
function summarize(measurements: readonly ClusterMeasurement[]): Cluster[] {
  const clusters = new Map<string, { memberCount: number; rttsUs: number[] }>();
  for (const { cluster, memberCount, rttUs } of measurements) {
    const known = clusters.get(cluster) ?? { memberCount: 0, rttsUs: [] };
    // Read at different moments they may differ: rather too full than too many.
    known.memberCount = Math.max(known.memberCount, memberCount);
    if (rttUs !== undefined && Number.isFinite(rttUs)) known.rttsUs.push(rttUs);
    clusters.set(cluster, known);
  }
  return [...clusters]
    .map(([name, { memberCount, rttsUs }]) => ({ name, memberCount, measuredCount: rttsUs.length, medianUs: median(rttsUs) }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

/** Of an even number the lesser of the two in the middle: a cluster of two, one of them busy, is as near as the other one says. */
function median(values: readonly number[]): number | undefined {
  return [...values].sort((left, right) => left - right)[Math.floor((values.length - 1) / 2)];
}

function foundedName(nodeId: string, taken: ReadonlySet<string>): string {
  for (let attempt = 1; ; attempt += 1) {
    const suffix = attempt === 1 ? '' : `-${attempt}`;
    const name = fit(`near-${nodeId}`, nodeId, suffix);
    if (!taken.has(name)) return name;
  }
}

/** Two long ids may differ at their ends alone: what is cut off is told by a hash. */
function fit(name: string, nodeId: string, suffix: string): string {
  if (name.length + suffix.length <= nameLimit) return name + suffix;
  const hash = (hashText(nodeId).high >>> 0).toString(16).padStart(8, '0');
  return `${name.slice(0, nameLimit - suffix.length - hash.length - 1)}-${hash}${suffix}`;
}
