/** Hits that must come from the disk: everything in local files, nothing in the page cache when a run begins. */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { KiB } from '../../../src/base/size.js';
import { type BenchCase, withDir } from '../context.js';
import { baseImage } from '../harness/image-file.js';
import { type ReadWork, runReadWork } from '../harness/read-work.js';
import { startFastPeers, withoutFastPath } from '../server/fast-peer.js';

const work: ReadWork = {
  title: 'page cache dropped, random 4 KiB of 4 GiB, depth 32',
  load: { pattern: 'randread', blockBytes: 4 * KiB, depth: 32 },
  unit: 'IOPS',
  wanted: {
    nbdkit: { title: 'nbdkit file', rate: 1 },
    qemu: { title: 'qemu-nbd', rate: 'ahead' },
    [withoutFastPath]: { title: 'itself, --no-fast-path', rate: 'ahead' },
  },
};

export const fastUncached: BenchCase = {
  name: 'fast-uncached',
  section: 'fast',
  async run(context) {
    const image = await baseImage(dirname(context.full.path), 'data');
    return withDir(context, async (dir) => {
      const running = new Lifecycle();
      try {
        const servers = await startFastPeers(context, running, dir, image);
        const before = async (): Promise<void> => {
          await execa('sync', ['--file-system', dir]); // what is dirty can't be dropped
          for (const path of [image.path, ...(await filesBelow(dir))]) await dropPages(path);
        };
        const { rows, run } = await runReadWork(context, dir, servers, work, { sizeBytes: image.sizeBytes, before, ownOffsets: true });
        return { rows, samples: run };
      } finally {
        await running.close();
      }
    });
  },
};

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** posix_fadvise(POSIX_FADV_DONTNEED) over the whole file; coreutils' dd is known to do that, and nothing else, when told to copy nothing. */
async function dropPages(path: string): Promise<void> {
  await execa('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
}
