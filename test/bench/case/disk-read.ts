/** Warm reads of what a disk holds itself, beside warm reads of its image, by the same daemon: through another disk in which nothing was written, and of the image alone. */
import { dirname, join } from 'node:path';
import { GiB, KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { type FioLoad, runFio } from '../harness/fio.js';
import { baseImage } from '../harness/image-file.js';
import { type CaseResult, type Row, rowOf } from '../harness/report.js';
import { type Measure, type Rounds, runRounds } from '../harness/round.js';
import { startCopseDisks } from '../server/disk-server.js';
import { type RunningServer, uriOf } from '../server/server.js';

const works: { title: string; load: Pick<FioLoad, 'pattern' | 'blockBytes' | 'depth'>; measure: Measure }[] = [
  {
    title: 'warm reads of overlay blocks, random 4 KiB, depth 32',
    load: { pattern: 'randread', blockBytes: 4 * KiB, depth: 32 },
    measure: { unit: 'IOPS', better: 'higher' },
  },
  {
    title: 'warm reads of overlay blocks, sequential 1 MiB, depth 8',
    load: { pattern: 'read', blockBytes: MiB, depth: 8 },
    measure: { unit: 'MB/s', better: 'higher' },
  },
];

const spanBytes = GiB;
const throughDisk = 'image blocks through a disk';
const ofImage = 'the image itself';

export const diskRead: BenchCase = {
  name: 'disk-read',
  section: 'disk',
  async run(context) {
    const image = await baseImage(dirname(context.full.path), 'data');
    return withDir(context, async (dir) => {
      const disks = await startCopseDisks(join(dir, 'c'), image.path);
      try {
        return await read(context, dir, disks.server, await disks.fresh(), await disks.fresh());
      } finally {
        await disks.close();
      }
    });
  },
};

async function read(
  context: BenchContext,
  dir: string,
  image: RunningServer,
  written: RunningServer,
  blank: RunningServer,
): Promise<CaseResult> {
  const all = { blockBytes: MiB, depth: 8, sizeBytes: spanBytes, runtimeMs: 120_000, repeat: false };
  await runFio(dir, { ...all, pattern: 'write', flush: 'end', uri: uriOf(written) });
  // Once through each, so that all is in the page cache.
  const servers: [string, RunningServer][] = [
    ['copse', written],
    [throughDisk, blank],
    [ofImage, image],
  ];
  for (const [, server] of servers) await runFio(dir, { ...all, pattern: 'read', uri: uriOf(server) });
  const rows: Row[] = [];
  const samples: { work: string; rounds: Rounds }[] = [];
  for (const { title, load, measure } of works) {
    const contenders = servers.map(([name, server]) => ({
      name,
      async run() {
        const before = await server.program.cpuSeconds();
        const runtimeMs = context.quick ? 1_000 : 4_000;
        const result = await runFio(dir, { ...load, uri: uriOf(server), sizeBytes: spanBytes, runtimeMs, repeat: true });
        const cpuSeconds = (await server.program.cpuSeconds()) - before;
        const value = measure.unit === 'IOPS' ? result.operationsPerSecond : result.bytesPerSecond / 1e6;
        context.progress(`disk-read: ${title}, ${name}: ${value.toFixed(0)} ${measure.unit}`);
        return { value, cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations };
      },
    }));
    const rounds = await runRounds(contenders, measure, { pairs: context.pairs });
    samples.push({ work: title, rounds });
    rows.push(rowOf(title, rounds, throughDisk, 0.9), rowOf(title, rounds, ofImage, 0.9));
  }
  return { rows, samples };
}
