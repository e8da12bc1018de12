/** Makes a set of counters for one export. */
import { LatencyHistogram } from '../base/metric.js';
import type { ExportMetrics } from './export.js';
import { SlowestReads } from './slowest-reads.js';

export function createExportMetrics(): ExportMetrics {
  const reads = () => ({ count: 0, bytes: 0, latency: new LatencyHistogram() });
  return {
    reads: { cache: reads(), peer: reads(), origin: reads() },
    slowest: new SlowestReads(),
    writes: 0,
    writtenBytes: 0,
    writeLatency: new LatencyHistogram(),
    errors: 0,
    lastError: undefined,
    connections: 0,
    fast: { lanes: new Set(), reads: 0, coldReads: 0, writes: 0, handedUp: 0 },
  };
}

/** Adds the requests that native lanes have answered since the last call. */
export function foldLanes(metrics: ExportMetrics): ExportMetrics {
  for (const fold of metrics.fast.lanes) fold();
  return metrics;
}
