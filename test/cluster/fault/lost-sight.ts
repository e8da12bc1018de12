/**
 * How often a node took another one for dead that was well.
 *
 * A machine that is too busy makes nodes miss pings, and each such moment excuses the two as a cut link would: each may ask the origin for what the other one has or fetches. So a test that counts
 * transfers allows for these moments, as many as there were; where there were none, it counts exactly.
 */
import type { ClusterNode } from './node.js';

export interface SightWatch {
  /** Since the watch began, by all of its nodes together. @param gone those that the test itself ended, stopped or cut off: nobody is to see them */
  lost(...gone: ClusterNode[]): number;
}

/** Reads the nodes' logs from now on: that others are down before they have started is no loss. */
export function watchSights(nodes: readonly ClusterNode[]): SightWatch {
  const from = new Map(nodes.map((node) => [node, node.stderr.length]));
  return {
    lost: (...gone) => {
      const lines = nodes.flatMap((node) => node.stderr.slice(from.get(node)).split('\n'));
      const down = lines.filter((line) => line.includes('"peer is down"'));
      return down.filter((line) => nodes.some((node) => !gone.includes(node) && line.includes(`"${node.address}"`))).length;
    },
  };
}
