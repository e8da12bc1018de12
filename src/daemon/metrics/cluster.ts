/** Metrics of the cluster: requests to peers, requests of peers, and peers that are not trusted. */
import type { Slice } from '../../base/slice.js';
import type { Content } from '../../image/content.js';
import type { PeerDirectory } from '../../peer/server/directory.js';
import type { Cluster } from '../cluster/cluster.js';
import { labelsOf } from './content.js';
import type { MetricPage } from './page.js';
import { addEach, type Selection } from './selection.js';

/** Kinds of exports that peers attach to, without statements and records. */
const roles = ['home', 'held', 'disk', 'blocks', 'map', 'call'] as const;
const memberStates = ['self', 'up', 'draining', 'down', 'incompatible', 'conflict'] as const;
const breakerStates = ['closed', 'open', 'half-open'] as const;

/** Sources of the counters of a node in a cluster. */
export interface PeerMetrics {
  cluster: Cluster;
  /** Counters of the exports that peers attach to, by kind. */
  served: PeerDirectory['metrics'];
}

export function addCluster(page: MetricPage, { cluster, served: servedBy }: PeerMetrics): void {
  const members = page.gauge('copse_cluster_members', 'Nodes of the cluster, by state');
  const views = cluster.liveCluster.members();
  for (const state of memberStates) members.set({ state }, views.filter((view) => view.state === state).length);
  page.gauge('copse_cluster_cut_off', '1 while there are peers and none answers').set({}, cluster.liveCluster.isCutOff ? 1 : 0);
  page
    .gauge('copse_cluster_membership_well', '0 while the last known list of members is in force')
    .set({}, cluster.membership.status.well ? 1 : 0);
  const breakers = page.gauge('copse_peer_breaker', '1 for the state of the breaker of a peer');
  const rtt = page.gauge('copse_peer_rtt_seconds', 'Round trip of a ping');
  for (const { id, state, rttUs } of views) {
    if (state === 'self') continue;
    const { state: breaker } = cluster.breakerOf(id);
    for (const each of breakerStates) breakers.set({ peer: id, state: each }, breaker === each ? 1 : 0);
    if (rttUs !== undefined) rtt.set({ peer: id }, rttUs / 1e6);
  }
  const served = page.counter('copse_peer_served_bytes_total', 'Bytes that peers read here');
  const servedReads = page.counter('copse_peer_served_reads_total', 'Reads of peers answered, by role and source');
  const servedErrors = page.counter('copse_peer_served_errors_total', 'Requests of peers answered with an error');
  for (const role of roles) {
    const metrics = servedBy[role];
    for (const source of ['cache', 'peer', 'origin'] as const) {
      served.add({ role }, metrics.reads[source].bytes);
      servedReads.add({ role, source }, metrics.reads[source].count);
    }
    servedErrors.add({ role }, metrics.errors);
  }
}

/** Contents beyond the limit of series count in one series without labels. */
export async function addClusterContents(page: MetricPage, selection: Selection<Content>, slice: Slice): Promise<void> {
  const requests = page.counter('copse_peer_requests_total', 'Requests to peers');
  const bytes = page.counter('copse_peer_bytes_total', 'Bytes that came from a peer');
  const failures = page.counter('copse_peer_failures_total', 'Requests to a peer that failed');
  const failovers = page.counter('copse_peer_failovers_total', 'Requests that went on to another node');
  const stoodIn = page.counter('copse_peer_stood_in_total', 'Runs fetched as home in the place of others that failed');
  const cutOff = page.counter('copse_origin_cut_off_chunks_total', 'Chunks asked of the origin while no peer answered');
  const wrongHints = page.counter('copse_peer_wrong_hints_total', 'Chunks that a peer did not hold, although this node thought so');
  const lies = page.counter('copse_peer_lies_total', 'Answers of peers that were not the image’s bytes');
  const silent = page.counter('copse_peer_silent_connections_total', 'Connections to peers on which no answer came');
  const hedges = page.counter('copse_peer_hedges_total', 'Second requests to other holders, and those that were quicker');
  const aside = page.gauge('copse_peer_set_aside', '1 while a peer is not asked for a content');
  await addEach(selection, slice, labelsOf, ({ clustered }, label) => {
    if (clustered === undefined) return;
    const { metrics, trust } = clustered;
    requests.add({ ...label, role: 'home' }, metrics.homeRequests);
    requests.add({ ...label, role: 'held' }, metrics.heldRequests);
    for (const [peer, tally] of metrics.peers) {
      bytes.add({ ...label, peer }, tally.bytes);
      failures.add({ ...label, peer }, tally.failures);
    }
    failovers.add(label, metrics.failovers);
    stoodIn.add(label, metrics.stoodIn);
    cutOff.add(label, metrics.cutOffChunks);
    wrongHints.add(label, metrics.wrongHints);
    lies.add(label, metrics.lies);
    silent.add(label, metrics.silentConnections);
    hedges.add({ ...label, won: 'no' }, metrics.hedges - metrics.hedgeWins);
    hedges.add({ ...label, won: 'yes' }, metrics.hedgeWins);
    for (const { peerId } of trust.setAside) aside.set({ ...label, peer: peerId }, 1);
  });
}
