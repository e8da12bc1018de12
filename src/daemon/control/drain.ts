/**
 * Drains a node: it stops to be a home, its disks move away, and chunks that only it holds go to
 * their next homes.
 *
 * Invariant: a chunk counts as handed on when another node says that it holds it.
 */

import type { DrainResult } from '../../admin/schema-node.js';
import { systemClock } from '../../base/clock.js';
import type { JobOptions } from '../../base/job.js';
import { formatSize } from '../../base/size.js';
import { holdingOf } from '../../cluster/holding.js';
import { type Range, spread } from '../../cluster/spread.js';
import type { Content } from '../../image/content.js';
import type { ContentPool } from '../../image/content-pool.js';
import type { Cluster } from '../cluster/cluster.js';
import { heldRanges } from './cluster-image.js';

/**
 * Time until peers hear of the drain with their pings, in ms. Until then they take this node for a
 * home.
 */
const noticeMs = 2500;
/** Count of rounds. A later round may hand on chunks whose home was full or went away. */
const rounds = 2;

export interface DrainOptions extends JobOptions {
  cluster: Cluster;
  pool: ContentPool;
  /** Count of clients attached here. */
  guestCount(): number;
  /** Moves this node's disks away. */
  drainDisks(): Promise<{ movedCount: number; left: { name: string; reason: string }[] }>;
}

export async function drain(options: DrainOptions): Promise<DrainResult> {
  const { cluster, pool, signal, onProgress } = options;
  cluster.self.change({ draining: true });
  await new Promise<void>((resolve) => systemClock.after(noticeMs, resolve));
  const disks = await options.drainDisks();
  let handedOnBytes = 0;
  let totalBytes = 0;
  let left = 0;
  for (let round = 0; round < rounds; round += 1) {
    const last = await lastCopies(cluster, pool);
    left = last.reduce((sum, { chunkCount }) => sum + chunkCount, 0);
    if (left === 0) break;
    totalBytes = handedOnBytes + last.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { content, ranges } of last) {
      const { clustered } = content;
      if (clustered === undefined) continue;
      await spread({
        clustered,
        neighbourhood: cluster.liveCluster,
        ranges,
        keep: undefined,
        signal,
        onDone: ({ lengthBytes }, taken) => {
          if (taken) handedOnBytes += lengthBytes;
          onProgress({ doneBytes: handedOnBytes, totalBytes });
        },
      });
    }
    left = (await lastCopies(cluster, pool)).reduce((sum, { chunkCount }) => sum + chunkCount, 0);
  }
  const guests = options.guestCount();
  return {
    doneBytes: handedOnBytes,
    totalBytes,
    handedOnBytes,
    lastCopiesLeft: left,
    disksMoved: disks.movedCount,
    disksLeft: disks.left,
    safe: left === 0 && guests === 0 && disks.left.length === 0,
    message: disks.left.length > 0 ? messageOfDisks(disks.left) : messageOf(left, guests, handedOnBytes),
  };
}

function messageOfDisks(left: { name: string; reason: string }[]): string {
  return `disks are still here: ${left.map(({ name, reason }) => `${name} (${reason})`).join('; ')}`;
}

function messageOf(left: number, guests: number, handedOnBytes: number): string {
  if (left > 0) {
    return `only this node holds ${left} chunks, which no other node could take. If the host is switched off they have to come from the origin again: give other nodes more cache, or try again`;
  }
  if (guests > 0) return `no chunk is held only here, but ${guests} clients are attached: move or stop their VMs first`;
  return `${formatSize(handedOnBytes)} handed on: the host may be switched off`;
}

async function lastCopies(
  cluster: Cluster,
  pool: ContentPool,
): Promise<{ content: Content; ranges: Range[]; chunkCount: number; bytes: number }[]> {
  const found = await Promise.all(
    pool.contents.map(async (content) => {
      const { clustered } = content;
      if (clustered === undefined) return [];
      const { map } = await holdingOf(clustered, heldRanges(content), cluster.liveCluster);
      const { store } = content.cache;
      const ranges: Range[] = [];
      let chunkCount = 0;
      let bytes = 0;
      for (let chunk = 0; chunk < store.chunkCount; chunk += 1) {
        const holders = map.holders(chunk);
        if (holders.length !== 1 || holders[0] !== cluster.liveCluster.selfId) continue;
        const offset = chunk * store.chunkBytes;
        const lengthBytes = store.lengthOf(chunk);
        chunkCount += 1;
        bytes += lengthBytes;
        const previous = ranges.at(-1);
        const sameExtent = chunk % clustered.extentChunks !== 0;
        if (previous !== undefined && sameExtent && previous.offset + previous.lengthBytes === offset) previous.lengthBytes += lengthBytes;
        else ranges.push({ offset, lengthBytes });
      }
      return chunkCount === 0 ? [] : [{ content, ranges, chunkCount, bytes }];
    }),
  );
  return found.flat();
}
