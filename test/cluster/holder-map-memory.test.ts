/** What a node remembers of its cluster, built whole: 100 members and 20 images of 10 GiB stay under 50 MiB. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { GiB, KiB, MiB } from '../../src/base/size.js';
import { HolderMap } from '../../src/cluster/holder-map.js';
import { LatencyWindow } from '../../src/cluster/latency-window.js';
import type { PeerContent } from '../../src/cluster/peer.js';
import { Placement } from '../../src/cluster/placement.js';
import { ManualClock } from '../cache/manual-clock.js';
import { nodesOf, StillNeighbourhood } from './still-neighbourhood.js';

const memberCount = 100;
const imageCount = 20;
const limitBytes = 50 * MiB;

/** Bytes in use after a full collection. */
function usedBytes(collect: () => void): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

t.test('the whole knowledge of 100 members and 20 images fits', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const clock = new ManualClock();
  const build = (): { map: HolderMap; placement: Placement; latencies: LatencyWindow[] }[] =>
    Array.from({ length: imageCount }, (_, image) => {
      const content: PeerContent = { id: `${image}`.padStart(32, '0'), sizeBytes: 10 * GiB, chunkBytes: 256 * KiB };
      const chunkCount = content.sizeBytes / content.chunkBytes;
      const members = nodesOf(memberCount);
      const map = new HolderMap(content);
      // Memory does not depend on how many chunks are held, only on whether the peer was heard of.
      for (const { id } of members) map.add(id, 0, chunkCount / 2);
      const neighbourhood = new StillNeighbourhood('node-000', members);
      const placement = new Placement(content, neighbourhood);
      // Four members come and go: five views, all extents of each remembered.
      for (let left = 1; left <= 5; left += 1) {
        for (let chunk = 0; chunk < chunkCount; chunk += 16) placement.homeOf(chunk);
        if (left < 5) neighbourhood.see(members.filter((_, index) => index !== left));
      }
      const latencies = members.map(() => {
        const latency = new LatencyWindow({ clock });
        latency.observe(1);
        return latency;
      });
      return { map, placement, latencies };
    });
  const before = usedBytes(collect);
  const knowledge = build();
  const grownBytes = usedBytes(collect) - before;
  const mapBytes = knowledge.reduce((sum, { map }) => sum + map.bytes, 0);
  const placementBytes = knowledge.reduce((sum, { placement }) => sum + placement.bytes, 0);
  t.equal(mapBytes, imageCount * memberCount * 5120);
  t.equal(placementBytes, imageCount * 5 * 2560 * 6);
  t.comment(
    `${(grownBytes / MiB).toFixed(1)} MiB: ${(mapBytes / MiB).toFixed(1)} bitmaps, ${(placementBytes / MiB).toFixed(1)} placements`,
  );
  t.ok(grownBytes > mapBytes + placementBytes, 'all of it was counted');
  t.ok(grownBytes < limitBytes, `${grownBytes} bytes`);
});
