/** The counters of the cluster: what this node asked of its peers, what they asked of it, and who is not trusted. */
import type { Registry } from 'prom-client';
import { counter, gauge, labelsOf, type MetricSources } from './metrics.js';

/** What peers attach to here, apart from statements and records. */
const roles = ['home', 'held', 'disk', 'blocks', 'map', 'call'] as const;
const memberStates = ['self', 'up', 'draining', 'down', 'incompatible', 'conflict'] as const;
const breakerStates = ['closed', 'open', 'half-open'] as const;

export function addCluster(registry: Registry, { cluster, contents }: MetricSources): void {
  if (cluster === undefined) return;
  const members = gauge(registry, 'copse_cluster_members', 'Nodes of the cluster, by how they are', ['state']);
  const views = cluster.prober.members();
  for (const state of memberStates) members.set({ state }, views.filter((view) => view.state === state).length);
  gauge(registry, 'copse_cluster_cut_off', '1 while there are peers and none answers').set(cluster.prober.isCutOff ? 1 : 0);
  gauge(registry, 'copse_cluster_membership_well', '0 while the last known list of members is in force').set(
    cluster.membership.status.well ? 1 : 0,
  );
  const breakers = gauge(registry, 'copse_peer_breaker', '1 for the state that the breaker of a peer is in', ['peer', 'state']);
  const rtt = gauge(registry, 'copse_peer_rtt_seconds', 'Round trip of a ping', ['peer']);
  for (const { id, state, rttUs } of views) {
    if (state === 'self') continue;
    const { state: breaker } = cluster.breakerOf(id);
    for (const each of breakerStates) breakers.set({ peer: id, state: each }, breaker === each ? 1 : 0);
    if (rttUs !== undefined) rtt.set({ peer: id }, rttUs / 1e6);
  }
  const served = counter(registry, 'copse_peer_served_bytes_total', 'Bytes that peers read here', ['role']);
  const servedReads = counter(registry, 'copse_peer_served_reads_total', 'Reads of peers answered, by role and source', ['role', 'source']);
  const servedErrors = counter(registry, 'copse_peer_served_errors_total', 'Requests of peers answered with an error', ['role']);
  for (const role of roles) {
    const metrics = cluster.directory.metrics[role];
    for (const source of ['cache', 'peer', 'origin'] as const) {
      served.inc({ role }, metrics.reads[source].bytes);
      servedReads.inc({ role, source }, metrics.reads[source].count);
    }
    servedErrors.inc({ role }, metrics.errors);
  }
  const labels = ['origin', 'format', 'content'];
  const requests = counter(registry, 'copse_peer_requests_total', 'Requests to peers', [...labels, 'role']);
  const bytes = counter(registry, 'copse_peer_bytes_total', 'Bytes that came from a peer', [...labels, 'peer']);
  const failures = counter(registry, 'copse_peer_failures_total', 'Requests to a peer that failed', [...labels, 'peer']);
  const failovers = counter(registry, 'copse_peer_failovers_total', 'Requests that went on to another node', labels);
  const stoodIn = counter(registry, 'copse_peer_stood_in_total', 'Runs fetched as home in the place of others that failed', labels);
  const cutOff = counter(registry, 'copse_origin_cut_off_chunks_total', 'Chunks asked of the origin while no peer answered', labels);
  const wrongHints = counter(registry, 'copse_peer_wrong_hints_total', 'Chunks that a peer was thought to hold and did not', labels);
  const lies = counter(registry, 'copse_peer_lies_total', 'Answers of peers that were not the image’s bytes', labels);
  const silent = counter(registry, 'copse_peer_silent_connections_total', 'Connections to peers on which no answer came', labels);
  const hedges = counter(registry, 'copse_peer_hedges_total', 'Second requests to other holders, and those that were quicker', [
    ...labels,
    'won',
  ]);
  const aside = gauge(registry, 'copse_peer_set_aside', '1 while a peer is not asked for a content', [...labels, 'peer']);
  for (const content of contents) {
    const { clustered } = content;
    if (clustered === undefined) continue;
    const label = labelsOf(content);
    const { metrics, standing } = clustered;
    requests.inc({ ...label, role: 'home' }, metrics.homeRequests);
    requests.inc({ ...label, role: 'held' }, metrics.heldRequests);
    for (const [peer, tally] of metrics.peers) {
      bytes.inc({ ...label, peer }, tally.bytes);
      failures.inc({ ...label, peer }, tally.failures);
    }
    failovers.inc(label, metrics.failovers);
    stoodIn.inc(label, metrics.stoodIn);
    cutOff.inc(label, metrics.cutOffChunks);
    wrongHints.inc(label, metrics.wrongHints);
    lies.inc(label, metrics.lies);
    silent.inc(label, metrics.silentConnections);
    hedges.inc({ ...label, won: 'no' }, metrics.hedges - metrics.hedgeWins);
    hedges.inc({ ...label, won: 'yes' }, metrics.hedgeWins);
    for (const { peerId } of standing.setAside) aside.set({ ...label, peer: peerId }, 1);
  }
}
