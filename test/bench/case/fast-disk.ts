/** Warm reads of a disk of which every other block of 64 KiB or so was written: overlay and image by turns, and both in one request. */
import { join } from 'node:path';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { GiB, KiB } from '../../../src/base/size.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { runFio } from '../harness/fio.js';
import { type ReadWork, runReadWork } from '../harness/read-work.js';
import type { CaseResult } from '../harness/report.js';
import { type DiskServer, nbdkitDisks, qemuDisks, startCopseDisks } from '../server/disk-server.js';
import { copseVariants, readAll, withoutFastPath } from '../server/fast-peer.js';
import { type RunningServer, uriOf } from '../server/server.js';

const cow = 'nbdkit cow';
const cow4k = 'nbdkit cow, 4 KiB blocks';
const qcow2 = 'qemu-nbd, qcow2';

function wanted(rate: number, cpu: number): ReadWork['wanted'] {
  return {
    [cow]: { title: 'nbdkit cow over file', rate, cpu },
    [cow4k]: { title: 'nbdkit cow over file, 4 KiB blocks', rate, cpu },
    [qcow2]: { title: qcow2, rate: 'ahead', cpu: 'ahead' },
    [withoutFastPath]: { title: 'itself, --no-fast-path', rate: 'ahead', cpu: 'ahead' },
  };
}

const works: readonly ReadWork[] = [
  {
    title: 'disk, overlay and image mixed, random 4 KiB, depth 1',
    load: { pattern: 'randread', blockBytes: 4 * KiB, depth: 1 },
    unit: 'IOPS',
    wanted: wanted(1.2, 0.4),
  },
  {
    title: 'disk, overlay and image mixed, random 4 KiB, depth 32',
    load: { pattern: 'randread', blockBytes: 4 * KiB, depth: 32 },
    unit: 'IOPS',
    wanted: wanted(1, 0.4),
  },
  {
    title: 'disk, overlay and image mixed, sequential 256 KiB, depth 8',
    load: { pattern: 'read', blockBytes: 256 * KiB, depth: 8 },
    unit: 'MB/s',
    wanted: wanted(1.2, 0.4),
  },
];

export const fastDisk: BenchCase = {
  name: 'fast-disk',
  section: 'fast',
  run: (context) =>
    withDir(context, async (dir): Promise<CaseResult> => {
      const running = new Lifecycle();
      try {
        const servers = await startDisks(context, running, dir);
        const results = [];
        for (const work of works) results.push(await runReadWork(context, dir, servers, work));
        return { rows: results.flatMap(({ rows }) => rows), samples: results.map(({ run }) => run) };
      } finally {
        await running.close();
      }
    }),
};

async function startDisks(context: BenchContext, running: Lifecycle, dir: string): Promise<Map<string, RunningServer>> {
  const image = context.full;
  const makers = new Map<string, DiskServer>();
  for (const [name, flags] of await copseVariants()) {
    makers.set(name, running.own(await startCopseDisks(join(dir, `c${makers.size}`), image.path, flags)));
  }
  makers.set(cow, nbdkitDisks(dir, image.path, cow));
  makers.set(cow4k, nbdkitDisks(dir, image.path, cow4k, ['cow-block-size=4096']));
  makers.set(qcow2, qemuDisks(dir, image.path));
  const servers = new Map<string, RunningServer>();
  for (const [name, maker] of makers) {
    context.progress(`writing half of a disk of ${name}`);
    const disk = running.own(await maker.fresh());
    // fio's random offsets are the same each time: all have the same half.
    await runFio(dir, {
      uri: uriOf(disk),
      ...{ pattern: 'randwrite', blockBytes: 64 * KiB, depth: 8, sizeBytes: GiB, ioBytes: GiB / 2 },
      ...{ runtimeMs: 120_000, repeat: false, flush: 'end' },
    });
    await readAll(dir, disk, GiB);
    servers.set(name, disk);
  }
  return servers;
}
