/**
 * The image below a disk: the content that the disk was created over. The image's name may stand
 * for another content by now.
 *
 * Every disk's record passes here, and any node may have written it. `base-origin.ts` decides which
 * origins it may open on this node.
 */
import type { DiskImage } from '../disk/hosted/hosted-disk.js';
import type { DiskRecord } from '../disk/protocol/record.js';
import type { BaseOrigins } from './base-origin.js';
import type { ContentPool } from './content-pool.js';

/**
 * Bound on the runs that another node is told. A guest that has read more runs than that is better
 * served by warming the whole image.
 */
const maxRuns = 4096;

/** Opens the image of a disk; `undefined` for a disk without one. Asks no origin. */
export async function openDiskImage(pool: ContentPool, origins: BaseOrigins, { image }: DiskRecord): Promise<DiskImage | undefined> {
  if (image === undefined) return undefined;
  const { spec, rule } = origins.choose(image.content);
  const lease = await pool.lease(spec, image.share, rule);
  const { cache, device } = lease.content;
  const { store, touched } = cache;
  return {
    device,
    touched() {
      const runs: [number, number][] = [];
      for (let chunk = 0; chunk < store.chunkCount && runs.length < maxRuns; chunk += 1) {
        if (!touched.has(chunk)) continue;
        const last = runs.at(-1);
        const offset = chunk * store.chunkBytes;
        if (last !== undefined && last[0] + last[1] === offset) last[1] += store.lengthOf(chunk);
        else runs.push([offset, store.lengthOf(chunk)]);
      }
      return runs;
    },
    async warm(ranges, signal) {
      for (const [offset, lengthBytes] of ranges) {
        for (let at = offset; at < offset + lengthBytes && at < store.sizeBytes; at += store.chunkBytes) {
          if (signal.aborted) return;
          await cache.ensure(at, Math.min(store.chunkBytes, store.sizeBytes - at), { background: true, signal });
        }
      }
    },
    trouble: () => origins.trouble(pool, spec),
    release: () => lease.release(),
  };
}
