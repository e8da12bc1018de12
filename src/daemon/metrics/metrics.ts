/**
 * All metrics of the daemon in Prometheus' text format.
 *
 * The counters are plain numbers on the paths that count. A scrape makes their text, in slices, so
 * that no guest waits for it. `selection.ts` decides which exports and contents have series of
 * their own.
 */
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Slice } from '../../base/slice.js';
import type { CacheSpace } from '../../cache/evict/cache-space.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { Content } from '../../image/content.js';
import type { ServedImage } from '../../image/registry.js';
import type { Server } from '../../server/server.js';
import { addCluster, addClusterContents, type PeerMetrics } from './cluster.js';
import { addContents, selectContents } from './content.js';
import { addDisks } from './disk.js';
import { addExports } from './export.js';
import { MetricPage } from './page.js';

export interface MetricSources {
  images: readonly ServedImage[];
  disks: readonly DiskExport[];
  contents: readonly Content[];
  space: CacheSpace;
  server: Server;
  /** Absent on a single host. */
  peers: PeerMetrics | undefined;
}

/** Metrics of Node.js (memory, event loop lag, …). Their registry has to outlive a scrape. */
const processRegistry = new Registry();
collectDefaultMetrics({ register: processRegistry });

export async function renderMetrics(sources: MetricSources): Promise<string> {
  const { images, disks, contents, peers } = sources;
  const page = new MetricPage();
  const slice = new Slice();
  const selection = await selectContents(contents, slice);
  await addExports(page, images, disks, slice);
  await addDisks(page, disks, slice);
  await addContents(page, contents, selection, slice);
  addNode(page, sources);
  if (peers !== undefined) {
    addCluster(page, peers);
    await addClusterContents(page, selection, slice);
  }
  return `${await processRegistry.metrics()}\n${page.text()}`;
}

function addNode(page: MetricPage, { space, server, images }: MetricSources): void {
  page.gauge('copse_images', 'Images that are served').add({}, images.length);
  page.gauge('copse_connections', 'NBD connections').add({}, server.connectionCount);
  page.counter('copse_refused_connections_total', 'NBD connections refused beyond the limit').add({}, server.refusedCount);
  page.gauge('copse_cache_used_bytes', 'Bytes of all caches on this host’s disk').add({}, space.usedBytes);
  page.gauge('copse_cache_budget_bytes', 'Budget of all caches').add({}, space.budgetBytes);
  page.counter('copse_cache_evicted_chunks_total', 'Chunks evicted').add({}, space.evictedChunks);
  page.counter('copse_cache_evicted_bytes_total', 'Bytes freed by eviction').add({}, space.evictedBytes);
  const state = page.gauge('copse_cache_state', '1 for the state of the cache');
  for (const name of ['ok', 'full', 'broken']) state.add({ state: name }, space.state === name ? 1 : 0);
}
