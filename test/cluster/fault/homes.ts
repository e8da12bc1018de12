/** Which nodes are an extent's homes, first one first: by the real placement, of nodes that give equally much. */
import { rank } from '../../../src/cluster/placement.js';
import type { ClusterNode } from './node.js';

/** The nodes in the order in which they are asked. @param among all that can be home */
export async function homesOf(extentIndex: number, among: readonly ClusterNode[]): Promise<ClusterNode[]> {
  const { id } = (await among[0]?.imageInCluster()) ?? {};
  if (id === undefined) throw new Error('the image is not shared');
  const ids = rank(
    id,
    extentIndex,
    among.map((node) => ({ id: node.id, weight: 1 })),
    among.length,
  );
  return ids.flatMap((each) => among.find((node) => node.id === each) ?? []);
}
