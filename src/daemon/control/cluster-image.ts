/**
 * Status of an image in the cluster: the chunks that nodes hold, and the part that needs no origin.
 */
import type { ClusterImageStatus } from '../../admin/schema-cluster.js';
import { type ClusterIdentity, clusterIdOf } from '../../catalog/cluster-id.js';
import type { ImageRecord } from '../../catalog/image-record.js';
import { holdingOf } from '../../cluster/holding.js';
import type { ClusterConfig } from '../../config/schema.js';
import type { Content } from '../../image/content.js';
import type { Cluster } from '../cluster/cluster.js';

/**
 * Identity under which the cluster shares an image. Without a cluster, the policy `strong` counts.
 */
export function identityOf(record: ImageRecord, config: ClusterConfig | undefined): ClusterIdentity {
  return clusterIdOf(record.content, { share: record.share, peers: config?.peers ?? 'strong' });
}

/** @param content the raw content: a foreign format's container */
export async function clusterImageStatus(record: ImageRecord, content: Content, cluster: Cluster): Promise<ClusterImageStatus> {
  const { id, guard, reason } = identityOf(record, cluster.config);
  const { store, touched } = content.cache;
  const common = { name: record.name, guard, chunkCount: store.chunkCount };
  const { clustered } = content;
  if (id === undefined || clustered === undefined) {
    const heldChunks = countChunks(store.chunkCount, (chunk) => store.isHeld(chunk));
    const least = heldChunks === 0 ? 0 : 1;
    return {
      ...common,
      shared: false,
      reason,
      heldChunks,
      copies: { least, average: least, greatest: least },
      touchedChunks: touched.count,
      touchedHeldChunks: countChunks(store.chunkCount, (chunk) => touched.has(chunk) && store.isHeld(chunk)),
      servableWithoutOrigin: servable(store.chunkCount, heldChunks, touched.count, touched.count),
      nodes: [{ id: cluster.liveCluster.selfId, heldBytes: store.dataBytes + store.zeroBytes, touched: touched.count }],
    };
  }
  const { map, nodeIds } = await holdingOf(clustered, heldRanges(content), cluster.liveCluster);
  const heldBytes = new Map(nodeIds.map((nodeId) => [nodeId, 0]));
  let heldChunks = 0;
  let touchedHeldChunks = 0;
  let copyCount = 0;
  let least = Number.POSITIVE_INFINITY;
  let greatest = 0;
  for (let chunk = 0; chunk < store.chunkCount; chunk += 1) {
    const holders = map.holders(chunk);
    if (holders.length === 0) continue;
    heldChunks += 1;
    copyCount += holders.length;
    least = Math.min(least, holders.length);
    greatest = Math.max(greatest, holders.length);
    if (touched.has(chunk)) touchedHeldChunks += 1;
    for (const holder of holders) heldBytes.set(holder, (heldBytes.get(holder) ?? 0) + store.lengthOf(chunk));
  }
  return {
    ...common,
    id,
    shared: true,
    reason,
    heldChunks,
    copies: heldChunks === 0 ? { least: 0, average: 0, greatest: 0 } : { least, average: copyCount / heldChunks, greatest },
    touchedChunks: touched.count,
    touchedHeldChunks,
    servableWithoutOrigin: servable(store.chunkCount, heldChunks, touched.count, touchedHeldChunks),
    nodes: [...heldBytes].map(([nodeId, bytes]) => ({
      id: nodeId,
      heldBytes: bytes,
      ...(nodeId === cluster.liveCluster.selfId ? { touched: touched.count } : {}),
    })),
  };
}

/** Ranges of a content that this node's cache holds. */
export function heldRanges({ cache, spec }: Content) {
  return cache.cachedExtents(0, spec.sizeBytes, Number.MAX_SAFE_INTEGER);
}

function servable(chunkCount: number, held: number, touched: number, touchedHeld: number): ClusterImageStatus['servableWithoutOrigin'] {
  if (held === chunkCount) return 'whole';
  return touched > 0 && touchedHeld === touched ? 'touched' : 'no';
}

function countChunks(chunkCount: number, test: (chunk: number) => boolean): number {
  let count = 0;
  for (let chunk = 0; chunk < chunkCount; chunk += 1) if (test(chunk)) count += 1;
  return count;
}
