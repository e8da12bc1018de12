/** Metrics of contents: their cached chunks, and the requests to their origins. */
import { displayUrl } from '../../base/display-url.js';
import { LatencyHistogram } from '../../base/metric.js';
import type { Slice } from '../../base/slice.js';

import type { Content } from '../../image/content.js';
import type { Labels, MetricPage } from './page.js';
import { addEach, type Selection, select } from './selection.js';

export async function selectContents(contents: readonly Content[], slice: Slice): Promise<Selection<Content>> {
  return select(contents, slice, rankOf);
}

export async function addContents(
  page: MetricPage,
  contents: readonly Content[],
  selection: Selection<Content>,
  slice: Slice,
): Promise<void> {
  const missed = page.counter('copse_cache_missed_chunks_total', 'Chunks that a request waited for');
  const fetches = page.counter('copse_cache_fetches_total', 'Runs of chunks asked of the origin');
  const fetchedBytes = page.counter('copse_cache_fetched_bytes_total', 'Bytes that came from the origin');
  const zeroBytes = page.counter('copse_cache_zero_bytes_total', 'Bytes that the origin knew to be zeros, not transferred');
  const prefetched = page.counter('copse_cache_prefetched_chunks_total', 'Chunks fetched ahead of demand');
  const failed = page.counter('copse_cache_failed_fetches_total', 'Fetches that failed for good');
  const unstored = page.counter('copse_cache_unstored_chunks_total', 'Chunks that could not be kept');
  const dropped = page.counter('copse_cache_dropped_chunks_total', 'Cached chunks that did not match their checksums');
  const requests = page.counter('copse_origin_requests_total', 'Attempts at the origin');
  const originBytes = page.counter('copse_origin_bytes_total', 'Bytes transferred from the origin, failed attempts included');
  const retries = page.counter('copse_origin_retries_total', 'Attempts that were repeated');
  const originChunks = page.counter('copse_origin_chunks_total', 'Chunks that came whole from the origin to this node');
  const uniqueChunks = page.gauge('copse_origin_unique_chunks', 'The same, each chunk counted once');
  const ratio = page.gauge('copse_origin_chunk_ratio', 'Chunks from the origin by unique chunks from the origin: 1 is best');
  const peerChunks = page.counter('copse_cache_peer_chunks_total', 'Chunks that peers delivered');
  const dataBytes = page.gauge('copse_cache_data_bytes', 'Bytes of the content on this host’s disk');
  await addEach(selection, slice, labelsOf, (content, labels) => {
    const { metrics, store } = content.cache;
    const { meter, fetchCount } = content;
    missed.add(labels, metrics.missedChunks);
    fetches.add(labels, metrics.fetches);
    fetchedBytes.add(labels, metrics.fetchedBytes);
    zeroBytes.add(labels, metrics.zeroBytes);
    prefetched.add(labels, metrics.prefetchedChunks);
    failed.add(labels, metrics.failedFetches);
    unstored.add(labels, metrics.unstoredChunks);
    dropped.add(labels, metrics.droppedChunks);
    for (const priority of ['demand', 'background', 'prefetch'] as const) requests.add({ ...labels, priority }, meter.requests[priority]);
    originBytes.add(labels, meter.bytes);
    retries.add(labels, content.retryCount);
    originChunks.add(labels, fetchCount.chunks);
    uniqueChunks.add(labels, fetchCount.uniqueChunks);
    // A ratio can't be summed.
    if ('content' in labels) ratio.add(labels, fetchCount.uniqueChunks === 0 ? 1 : fetchCount.chunks / fetchCount.uniqueChunks);
    peerChunks.add(labels, metrics.peerChunks);
    dataBytes.add(labels, store.dataBytes);
  });
  page.histogram('copse_origin_seconds', 'Time of one attempt at the origin that succeeded', [
    { labels: {}, histogram: await latencyOf(contents, slice) },
  ]);
}

export function labelsOf(content: Content): Labels {
  return { origin: displayUrl(content.spec.url), format: content.spec.format, content: content.id };
}

async function latencyOf(contents: readonly Content[], slice: Slice): Promise<LatencyHistogram> {
  const total = new LatencyHistogram();
  for (const { meter } of contents) {
    await slice.turn();
    total.merge(meter.latency);
  }
  return total;
}

/**
 * Orders contents: most requests to the origin first, then most reads by peers and guests, then
 * most cached bytes.
 */
function rankOf(content: Content): number {
  const { clustered, meter } = content;
  const { metrics, store } = content.cache;
  if (clustered !== undefined && clustered.trust.setAside.length > 0) return Number.MAX_SAFE_INTEGER;
  const { requests } = meter;
  const own = requests.demand + requests.background + requests.prefetch + metrics.missedChunks + metrics.droppedChunks;
  const peer = clustered === undefined ? 0 : clustered.metrics.homeRequests + clustered.metrics.heldRequests;
  return own + peer + (store.dataBytes > 0 ? 0.5 : 0);
}
