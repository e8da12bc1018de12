/** Explains an export: the sources of its bytes, and conclusions about its speed. */
import type { Explanation } from '../../admin/schema-node.js';
import { formatSize } from '../../base/size.js';
import type { Content } from '../../image/content.js';
import type { ExportMetrics } from '../../server/export.js';
import { foldLanes } from '../../server/export-metrics.js';

const places = ['cache', 'peer', 'origin'] as const;

/**
 * @param content the raw content: a foreign format's container, or the content below a disk; absent
 *   for a blank disk
 */
export function explain({ name, metrics }: { name: string; metrics: ExportMetrics }, content: Content | undefined): Explanation {
  const sources = Object.fromEntries(
    places.map((place) => {
      const { count, bytes, latency } = foldLanes(metrics).reads[place];
      return [place, { reads: count, bytes, waitedMs: latency.sumSeconds * 1000 }];
    }),
  ) as Explanation['sources'];
  const peers = [...(content?.clustered?.metrics.peers ?? [])].map(([id, { bytes, requests, failures, latency }]) => ({
    id,
    bytes,
    requests,
    failures,
    p50Ms: latency.p50Ms ?? 0,
    p95Ms: latency.p95Ms ?? 0,
  }));
  peers.sort((left, right) => right.bytes - left.bytes);
  const explanation = { name, sources, peers, slowest: [...metrics.slowest.reads], origin: originUse(content) };
  return { ...explanation, text: conclusions(explanation, content) };
}

function originUse(content: Content | undefined): Explanation['origin'] {
  if (content === undefined) return { requests: 0, bytes: 0, chunks: 0, uniqueChunks: 0, retries: 0 };
  const { meter, fetchCount, retryCount } = content;
  const { demand, background, prefetch } = meter.requests;
  const { chunks, uniqueChunks } = fetchCount;
  return { requests: demand + background + prefetch, bytes: meter.bytes, chunks, uniqueChunks, retries: retryCount };
}

function conclusions({ sources, peers, origin }: Omit<Explanation, 'text'>, content: Content | undefined): string[] {
  const readBytes = places.reduce((sum, place) => sum + sources[place].bytes, 0);
  const waitedMs = places.reduce((sum, place) => sum + sources[place].waitedMs, 0);
  if (readBytes === 0) return ['No client has read from it since the daemon started.'];
  const share = (place: (typeof places)[number]): string => `${Math.round((100 * sources[place].bytes) / readBytes)} %`;
  const text = [
    `Clients read ${formatSize(readBytes)}: ${share('cache')} from this host, ${share('peer')} from peers, ${share('origin')} from the origin.`,
  ];
  const [slowest] = [...places].sort((left, right) => sources[right].waitedMs - sources[left].waitedMs);
  if (slowest !== undefined && waitedMs > 0) {
    const seconds = (sources[slowest].waitedMs / 1000).toFixed(1);
    const name = { cache: "this host's disk", peer: 'peers', origin: 'the origin' }[slowest];
    text.push(`Most of the waiting was for ${name}: ${seconds} s, all reads together.`);
  }
  if (sources.peer.reads > 0)
    text.push('Bytes that a peer first fetched from the origin count as from the peer: ask that peer to explain, too.');
  if (content?.healthMessage !== undefined) text.push(`The origin failed last: ${content.healthMessage}`);
  if (origin.retries > 0) text.push(`${origin.retries} attempts at the origin had to be repeated.`);
  const again = origin.chunks - origin.uniqueChunks;
  if (again > 0) text.push(`${again} chunks came from the origin more than once: evicted meanwhile, or not kept.`);
  for (const { id, failures, requests } of peers) if (failures > 0) text.push(`Peer ${id} failed ${failures} of ${requests} requests.`);
  for (const { peerId, reason } of content?.clustered?.trust.setAside ?? []) text.push(`Peer ${peerId} is set aside: ${reason}`);
  const { unstoredChunks = 0, droppedChunks = 0 } = content?.cache.metrics ?? {};
  if (unstoredChunks > 0) text.push(`${unstoredChunks} chunks could not be kept: see the cache in "copse status".`);
  if (droppedChunks > 0) text.push(`${droppedChunks} cached chunks were damaged and fetched again.`);
  return text;
}
