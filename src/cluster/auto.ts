/**
 * Chooses the cluster of a node whose configuration says `auto`: the nearest one within a threshold
 * that has room, else one of its own.
 *
 * The function is pure, so the choice can be tried on hundreds of hosts. The distance of a cluster
 * is the median of the round-trip times to its members that answered. One slow member, or one fast
 * guess, decides nothing.
 *
 * Invariants: the same measurements in any order give the same choice. A choice stays until an
 * operator asks for a new one. The name of a founded cluster comes from the node's id, so two nodes
 * that found clusters at once never share one by accident.
 */
import { hashText } from './rendezvous.js';

/** One measured member of an existing cluster. This node itself is not among them. */
export interface ClusterMeasurement {
  cluster: string;
  /** Members of the whole cluster without this node, measured or not. */
  memberCount: number;
  /** `undefined` if it did not answer. */
  rttUs: number | undefined;
}

export interface ClusterChoiceOptions {
  nodeId: string;
  measurements: readonly ClusterMeasurement[];
  /** Longest distance of a cluster that is near enough, in µs. */
  thresholdUs: number;
  /** Limit of members, this node included. */
  maxMembers: number;
  /** The earlier choice, if it is to be kept. Leave it out to choose again. */
  current?: string | undefined;
}

export interface ClusterChoice {
  name: string;
  /** Measurements and conclusion, for people. */
  reason: string;
  /** True if the cluster has no members yet. */
  founded: boolean;
}

interface Cluster {
  name: string;
  memberCount: number;
  measuredCount: number;
  /** Median round trip, in µs; `undefined` if no member answered. */
  medianUs: number | undefined;
}

interface MeasuredCluster extends Cluster {
  medianUs: number;
}

/** The same limit as in `node.ts`. */
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

/** The first few clusters: the reason is a line for people. */
function list(clusters: readonly Cluster[]): string {
  const shown = clusters.slice(0, 3).map(describe);
  const more = clusters.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

/**
 * Prefers the larger of two clusters at one distance, which shares more. Then the name decides, so
 * that the order of measurements does not.
 */
function byDistance(left: MeasuredCluster, right: MeasuredCluster): number {
  return left.medianUs - right.medianUs || right.memberCount - left.memberCount || (left.name < right.name ? -1 : 1);
}

/** @returns the clusters, sorted by name */
function summarize(measurements: readonly ClusterMeasurement[]): Cluster[] {
  const clusters = new Map<string, { memberCount: number; rttsUs: number[] }>();
  for (const { cluster, memberCount, rttUs } of measurements) {
    const known = clusters.get(cluster) ?? { memberCount: 0, rttsUs: [] };
    // Counts that were read at different moments may differ. The larger one errs on the side of too
    // full.
    known.memberCount = Math.max(known.memberCount, memberCount);
    if (rttUs !== undefined && Number.isFinite(rttUs)) known.rttsUs.push(rttUs);
    clusters.set(cluster, known);
  }
  return [...clusters]
    .map(([name, { memberCount, rttsUs }]) => ({ name, memberCount, measuredCount: rttsUs.length, medianUs: median(rttsUs) }))
    .sort((left, right) => (left.name < right.name ? -1 : 1));
}

/**
 * Takes the lesser of the two in the middle of an even number. So a cluster of two, one of them
 * busy, is as near as the other member says.
 */
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

/** Two long ids may differ at their ends alone, so a hash stands for what is cut off. */
function fit(name: string, nodeId: string, suffix: string): string {
  if (name.length + suffix.length <= nameLimit) return name + suffix;
  const hash = (hashText(nodeId).high >>> 0).toString(16).padStart(8, '0');
  return `${name.slice(0, nameLimit - suffix.length - hash.length - 1)}-${hash}${suffix}`;
}
