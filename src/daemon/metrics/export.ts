/** Metrics of exports, as clients use them: images and disks. */
import { LatencyHistogram } from '../../base/metric.js';
import type { Slice } from '../../base/slice.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { ServedImage } from '../../image/registry.js';
import type { ExportMetrics } from '../../server/export.js';
import { foldLanes } from '../../server/export-metrics.js';
import type { MetricPage } from './page.js';
import { addEach, select } from './selection.js';

const sources = ['cache', 'peer', 'origin'] as const;

interface CountedExport {
  record: { name: string };
  metrics: ExportMetrics;
}

export async function addExports(
  page: MetricPage,
  images: readonly ServedImage[],
  disks: readonly DiskExport[],
  slice: Slice,
): Promise<void> {
  const latency = new Latency();
  const selection = await select<CountedExport>(both(images, disks), slice, ({ metrics }) => {
    latency.add(foldLanes(metrics));
    return rankOf(metrics);
  });
  const reads = page.counter('copse_export_reads_total', 'Reads answered, by the farthest place their bytes came from');
  const readBytes = page.counter('copse_export_read_bytes_total', 'Bytes read by clients');
  const writes = page.counter('copse_export_writes_total', 'Writes answered');
  const writtenBytes = page.counter('copse_export_written_bytes_total', 'Bytes written by clients');
  const errors = page.counter('copse_export_errors_total', 'Requests answered with an error');
  const connections = page.gauge('copse_export_connections', 'Clients attached');
  // The metrics above contain these.
  const lanes = page.gauge('copse_fast_path_connections', 'Clients whose requests native threads answer, past JavaScript');
  const fastReads = page.counter('copse_fast_path_reads_total', 'Reads that native threads answered');
  const coldReads = page.counter('copse_fast_path_cold_reads_total', 'The same, those that had to wait for this host’s disk');
  const fastWrites = page.counter('copse_fast_path_writes_total', 'Writes that native threads answered');
  const handedUp = page.counter('copse_fast_path_handed_up_total', 'Requests that native threads left to JavaScript');
  const labelsOf = ({ record }: CountedExport) => ({ export: record.name });
  await addEach(selection, slice, labelsOf, ({ metrics }, labels) => {
    for (const source of sources) {
      reads.add({ ...labels, source }, metrics.reads[source].count);
      readBytes.add({ ...labels, source }, metrics.reads[source].bytes);
    }
    writes.add(labels, metrics.writes);
    writtenBytes.add(labels, metrics.writtenBytes);
    errors.add(labels, metrics.errors);
    connections.add(labels, metrics.connections);
    lanes.add(labels, metrics.fast.lanes.size);
    fastReads.add(labels, metrics.fast.reads);
    coldReads.add(labels, metrics.fast.coldReads);
    fastWrites.add(labels, metrics.fast.writes);
    handedUp.add(labels, metrics.fast.handedUp);
  });
  latency.addTo(page);
}

/** Waits of clients, over all exports. A histogram for each export would be most of a scrape. */
class Latency {
  readonly #reads = { cache: new LatencyHistogram(), peer: new LatencyHistogram(), origin: new LatencyHistogram() };
  readonly #writes = new LatencyHistogram();

  add({ reads, writeLatency }: ExportMetrics): void {
    for (const source of sources) this.#reads[source].merge(reads[source].latency);
    this.#writes.merge(writeLatency);
  }

  addTo(page: MetricPage): void {
    const reads = sources.map((source) => ({ labels: { source }, histogram: this.#reads[source] }));
    page.histogram('copse_export_read_seconds', 'Time from a read’s arrival to its answer', reads);
    page.histogram('copse_export_write_seconds', 'Time from a write’s arrival to its answer', [{ labels: {}, histogram: this.#writes }]);
  }
}

/** Orders exports: those with clients first, then those with most requests. */
function rankOf({ connections, reads, writes, errors }: ExportMetrics): number {
  const requestCount = reads.cache.count + reads.peer.count + reads.origin.count + writes + errors;
  return connections > 0 ? Number.MAX_SAFE_INTEGER + requestCount : requestCount;
}

function* both(images: readonly ServedImage[], disks: readonly DiskExport[]): Iterable<CountedExport> {
  yield* images;
  yield* disks;
}
