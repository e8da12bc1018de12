/**
 * Asks all nodes now which chunks of a content they hold.
 *
 * When to use: for people, and for draining. It costs a request to each node that serves the
 * content, so reads go by what `source/holder-knowledge.ts` remembers.
 */
import { waitFor } from '../base/deadline.js';
import type { ClusteredContent } from './clustered-content.js';
import { HolderMap } from './holder-map.js';
import type { Neighbourhood } from './neighbourhood.js';

const answerMs = 10_000;

export interface Holding {
  map: HolderMap;
  /** This node, and the nodes that answered. */
  nodeIds: string[];
  /** Nodes that did not answer, so their chunks are unknown. */
  silentIds: string[];
}

/** @param held ranges that this node holds */
export async function holdingOf(
  clustered: ClusteredContent,
  held: Parameters<HolderMap['set']>[1],
  neighbourhood: Neighbourhood,
): Promise<Holding> {
  const { content: shared } = clustered;
  const map = new HolderMap(shared);
  map.set(neighbourhood.selfId, held);
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
