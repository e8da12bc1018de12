/**
 * All counters in Prometheus' text format.
 *
 * The counters themselves are plain numbers on the paths that count them; they are put into a registry only when somebody scrapes, so that labels of
 * images that are gone go with them.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { displayUrl } from '../base/display-url.js';
import { type LatencyHistogram, latencyBucketSeconds } from '../base/metric.js';
import type { CacheSpace } from '../cache/cache-space.js';
import type { DiskExport } from '../disk/disk-export.js';
import type { ExportMetrics } from '../server/export.js';
import { foldLanes } from '../server/export-metrics.js';
import type { Server } from '../server/server.js';
import type { Cluster } from './cluster/cluster.js';
import type { Content } from './content.js';
import type { ServedImage } from './image-registry.js';
import { addCluster } from './metrics-cluster.js';
import { addDisks } from './metrics-disk.js';

export interface MetricSources {
  images: readonly ServedImage[];
  disks: readonly DiskExport[];
  contents: readonly Content[];
  space: CacheSpace;
  server: Server;
  cluster: Cluster | undefined;
}

/** Node's own (memory, event loop lag, …), which need a registry that lives. */
const processRegistry = new Registry();
collectDefaultMetrics({ register: processRegistry });

export async function renderMetrics(sources: MetricSources): Promise<string> {
  const registry = new Registry();
  const exports = exportsOf(sources);
  addExports(registry, exports);
  addFastPath(registry, exports);
  addDisks(registry, sources.disks);
  addContents(registry, sources.contents);
  addNode(registry, sources);
  addCluster(registry, sources);
  return `${await Registry.merge([processRegistry, registry]).metrics()}${histograms(sources)}`;
}

export function counter(registry: Registry, name: string, help: string, labelNames: string[]): Counter {
  return new Counter({ name, help, labelNames, registers: [registry] });
}

export function gauge(registry: Registry, name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}

interface CountedExport {
  name: string;
  metrics: ExportMetrics;
}

function exportsOf({ images, disks }: MetricSources): CountedExport[] {
  return [...images, ...disks].map(({ record, metrics }) => ({ name: record.name, metrics: foldLanes(metrics) }));
}

function addExports(registry: Registry, exports: readonly CountedExport[]): void {
  const reads = counter(registry, 'copse_export_reads_total', 'Reads answered, by the farthest place their bytes came from', [
    'export',
    'source',
  ]);
  const readBytes = counter(registry, 'copse_export_read_bytes_total', 'Bytes read by clients', ['export', 'source']);
  const writes = counter(registry, 'copse_export_writes_total', 'Writes answered', ['export']);
  const writtenBytes = counter(registry, 'copse_export_written_bytes_total', 'Bytes written by clients', ['export']);
  const errors = counter(registry, 'copse_export_errors_total', 'Requests answered with an error', ['export']);
  const connections = gauge(registry, 'copse_export_connections', 'Clients attached', ['export']);
  for (const { name, metrics } of exports) {
    for (const source of ['cache', 'peer', 'origin'] as const) {
      reads.inc({ export: name, source }, metrics.reads[source].count);
      readBytes.inc({ export: name, source }, metrics.reads[source].bytes);
    }
    writes.inc({ export: name }, metrics.writes);
    writtenBytes.inc({ export: name }, metrics.writtenBytes);
    errors.inc({ export: name }, metrics.errors);
    connections.set({ export: name }, metrics.connections);
  }
}

/** Contained in the numbers above. */
function addFastPath(registry: Registry, exports: readonly CountedExport[]): void {
  const lanes = gauge(registry, 'copse_fast_path_connections', 'Clients whose requests native threads answer, past JavaScript', ['export']);
  const fastReads = counter(registry, 'copse_fast_path_reads_total', 'Reads that native threads answered', ['export']);
  const coldReads = counter(registry, 'copse_fast_path_cold_reads_total', 'The same, those that had to wait for this host’s disk', [
    'export',
  ]);
  const fastWrites = counter(registry, 'copse_fast_path_writes_total', 'Writes that native threads answered', ['export']);
  const handedUp = counter(registry, 'copse_fast_path_handed_up_total', 'Requests that native threads left to JavaScript', ['export']);
  for (const {
    name,
    metrics: { fast },
  } of exports) {
    lanes.set({ export: name }, fast.lanes.size);
    fastReads.inc({ export: name }, fast.reads);
    coldReads.inc({ export: name }, fast.coldReads);
    fastWrites.inc({ export: name }, fast.writes);
    handedUp.inc({ export: name }, fast.handedUp);
  }
}

function addContents(registry: Registry, contents: readonly Content[]): void {
  const labels = ['origin', 'format', 'content'];
  const missed = counter(registry, 'copse_cache_missed_chunks_total', 'Chunks that a request had to wait for', labels);
  const fetches = counter(registry, 'copse_cache_fetches_total', 'Runs of chunks asked of the origin', labels);
  const fetchedBytes = counter(registry, 'copse_cache_fetched_bytes_total', 'Bytes that came from the origin', labels);
  const zeroBytes = counter(registry, 'copse_cache_zero_bytes_total', 'Bytes that the origin knew to be zeros, not transferred', labels);
  const prefetched = counter(registry, 'copse_cache_prefetched_chunks_total', 'Chunks fetched ahead of demand', labels);
  const failed = counter(registry, 'copse_cache_failed_fetches_total', 'Fetches that failed for good', labels);
  const unstored = counter(registry, 'copse_cache_unstored_chunks_total', 'Chunks that could not be kept', labels);
  const dropped = counter(registry, 'copse_cache_dropped_chunks_total', 'Cached chunks that did not match their checksums', labels);
  const requests = counter(registry, 'copse_origin_requests_total', 'Attempts at the origin', [...labels, 'priority']);
  const originBytes = counter(registry, 'copse_origin_bytes_total', 'Bytes transferred from the origin, failed attempts included', labels);
  const retries = counter(registry, 'copse_origin_retries_total', 'Attempts that were repeated', labels);
  const originChunks = counter(registry, 'copse_origin_chunks_total', 'Chunks that came whole from the origin to this node', labels);
  const uniqueChunks = gauge(registry, 'copse_origin_unique_chunks', 'The same, each chunk counted once', labels);
  const ratio = gauge(registry, 'copse_origin_chunk_ratio', 'Chunks from the origin by unique chunks from the origin: 1 is best', labels);
  const peerChunks = counter(registry, 'copse_cache_peer_chunks_total', 'Chunks that peers delivered', labels);
  const dataBytes = gauge(registry, 'copse_cache_data_bytes', 'Bytes of the content on this host’s disk', labels);
  for (const content of contents) {
    const { metrics } = content.cache;
    const label = labelsOf(content);
    missed.inc(label, metrics.missedChunks);
    fetches.inc(label, metrics.fetches);
    fetchedBytes.inc(label, metrics.fetchedBytes);
    zeroBytes.inc(label, metrics.zeroBytes);
    prefetched.inc(label, metrics.prefetchedChunks);
    failed.inc(label, metrics.failedFetches);
    unstored.inc(label, metrics.unstoredChunks);
    dropped.inc(label, metrics.droppedChunks);
    for (const priority of ['demand', 'background', 'prefetch'] as const) {
      requests.inc({ ...label, priority }, content.meter.requests[priority]);
    }
    originBytes.inc(label, content.meter.bytes);
    retries.inc(label, content.retryCount);
    originChunks.inc(label, content.economy.chunks);
    uniqueChunks.set(label, content.economy.uniqueChunks);
    ratio.set(label, content.economy.uniqueChunks === 0 ? 1 : content.economy.chunks / content.economy.uniqueChunks);
    peerChunks.inc(label, metrics.peerChunks);
    dataBytes.set(label, content.cache.store.dataBytes);
  }
}

function addNode(registry: Registry, { space, server }: MetricSources): void {
  gauge(registry, 'copse_connections', 'NBD connections').set(server.connectionCount);
  counter(registry, 'copse_refused_connections_total', 'NBD connections refused because there were too many', []).inc(server.refusedCount);
  gauge(registry, 'copse_cache_used_bytes', 'Bytes of all caches on this host’s disk').set(space.usedBytes);
  gauge(registry, 'copse_cache_budget_bytes', 'The most that caches may take').set(space.budgetBytes);
  counter(registry, 'copse_cache_evicted_chunks_total', 'Chunks evicted', []).inc(space.evictedChunks);
  counter(registry, 'copse_cache_evicted_bytes_total', 'Bytes freed by eviction', []).inc(space.evictedBytes);
  const state = gauge(registry, 'copse_cache_state', '1 for the state that the cache is in', ['state']);
  for (const name of ['ok', 'full', 'broken']) state.set({ state: name }, space.state === name ? 1 : 0);
}

export function labelsOf(content: Content): { origin: string; format: string; content: string } {
  return { origin: displayUrl(content.spec.url), format: content.spec.format, content: content.id };
}

/** prom-client can't be given finished histograms, so their text is made here. */
function histograms(sources: MetricSources): string {
  const exports = exportsOf(sources);
  const reads = exports.flatMap(({ name, metrics }) =>
    (['cache', 'peer', 'origin'] as const).map((source) => ({
      labels: { export: name, source },
      histogram: metrics.reads[source].latency,
    })),
  );
  const writes = exports.map(({ name, metrics }) => ({ labels: { export: name }, histogram: metrics.writeLatency }));
  const origins = sources.contents.map((content) => ({ labels: labelsOf(content), histogram: content.meter.latency }));
  return [
    histogramText('copse_export_read_seconds', 'Time from a read’s arrival to its answer', reads),
    histogramText('copse_export_write_seconds', 'Time from a write’s arrival to its answer', writes),
    histogramText('copse_origin_seconds', 'Time of one attempt at the origin that succeeded', origins),
  ].join('');
}

function histogramText(name: string, help: string, series: { labels: Record<string, string>; histogram: LatencyHistogram }[]): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  for (const { labels, histogram } of series) {
    const text = Object.entries(labels)
      .map(([label, value]) => `${label}="${escapeLabel(value)}"`)
      .join(',');
    let count = 0;
    latencyBucketSeconds.forEach((bound, index) => {
      count += histogram.counts[index] ?? 0;
      lines.push(`${name}_bucket{${text},le="${bound}"} ${count}`);
    });
    lines.push(`${name}_bucket{${text},le="+Inf"} ${histogram.count}`);
    lines.push(`${name}_sum{${text}} ${histogram.sumSeconds}`, `${name}_count{${text}} ${histogram.count}`);
  }
  return `${lines.join('\n')}\n`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
