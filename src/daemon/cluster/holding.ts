/** Who in the cluster holds which chunk of a content, asked of everybody now: for people and for draining, not for reads. */
import { waitFor } from '../../base/deadline.js';
import type { ClusteredContent } from '../../cluster/clustered-content.js';
import { HolderMap } from '../../cluster/holder-map.js';
import type { Neighbourhood } from '../../cluster/neighbourhood.js';
import type { Content } from '../../image/content.js';

const answerMs = 10_000;

export interface Holding {
  map: HolderMap;
  /** Who was asked: this node, and those that answered. */
  nodeIds: string[];
  /** Those that did not answer: what they hold is not known. */
  silentIds: string[];
}

export async function holdingOf(content: Content, clustered: ClusteredContent, neighbourhood: Neighbourhood): Promise<Holding> {
  const { content: shared } = clustered;
  const map = new HolderMap(shared);
  map.set(neighbourhood.selfId, content.cache.cachedExtents(0, shared.sizeBytes, Number.MAX_SAFE_INTEGER));
  const nodeIds = [neighbourhood.selfId];
  const silentIds: string[] = [];
  await Promise.all(
    neighbourhood.holdersOf(shared.id).map(async (peer) => {
      const end = new AbortController();
      try {
        const runs = peer.cachedRuns(shared, 0, shared.sizeBytes, { signal: end.signal, background: true });
        map.set(peer.id, await waitFor(`what peer ${peer.id} holds`, runs, { timeoutMs: answerMs }));
        nodeIds.push(peer.id);
      } catch {
        end.abort();
        silentIds.push(peer.id);
      }
    }),
  );
  return { map, nodeIds: nodeIds.sort(), silentIds };
}
