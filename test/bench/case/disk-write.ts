/** Writes to a new disk over an image, each run a disk of its own: Copse, nbdkit's cow filter, qemu-nbd on a qcow2 overlay. */
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { GiB, KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { type FioLoad, runFio } from '../harness/fio.js';
import { baseImage } from '../harness/image-file.js';
import { type CaseResult, type Row, rowOf } from '../harness/report.js';
import { type Contender, type Measure, type Rounds, runRounds } from '../harness/round.js';
import { type DiskServer, nbdkitDisks, qemuDisks, startCopseDisks } from '../server/disk-server.js';
import { uriOf } from '../server/server.js';

interface WriteWork {
  title: string;
  load: Omit<FioLoad, 'uri' | 'sizeBytes' | 'repeat'>;
  measure: Measure;
  /** By contender. */
  wanted: Record<string, number>;
}

const random = { pattern: 'randwrite', blockBytes: 4 * KiB, depth: 32, ioBytes: 256 * MiB, runtimeMs: 30_000 } as const;
const sequential = { pattern: 'write', blockBytes: 256 * KiB, depth: 8, ioBytes: GiB, runtimeMs: 30_000 } as const;
const each = { pattern: 'randwrite', blockBytes: 4 * KiB, depth: 1, runtimeMs: 4_000, flush: 'each' } as const;
const iops = { unit: 'IOPS', better: 'higher' } as const;
const rate = { unit: 'MB/s', better: 'higher' } as const;

const cow = 'nbdkit cow';
/** The filter's own choice is 64 KiB, of which each 4 KiB write reads and writes all. */
const cow4k = 'nbdkit cow, 4 KiB blocks';
const qcow2 = 'qemu-nbd, qcow2';

/** The cow filter flushes nothing: its overlay does not outlive it. */
const flushedAtEnd = { [cow]: 1.2, [cow4k]: 1.2, [qcow2]: 1.5 } as const;

const works: WriteWork[] = [
  { title: 'random 4 KiB writes, depth 32, no flush', load: random, measure: iops, wanted: { [cow]: 0.8, [cow4k]: 0.8 } },
  { title: 'sequential 256 KiB writes, depth 8, no flush', load: sequential, measure: rate, wanted: { [cow]: 0.8, [cow4k]: 0.8 } },
  {
    title: 'random 4 KiB writes, depth 32, flush at the end',
    load: { ...random, flush: 'end' },
    measure: iops,
    wanted: flushedAtEnd,
  },
  {
    title: 'sequential 256 KiB writes, depth 8, flush at the end',
    load: { ...sequential, flush: 'end' },
    measure: rate,
    wanted: flushedAtEnd,
  },
  { title: 'random 4 KiB write, a flush after each', load: each, measure: iops, wanted: { [qcow2]: 1 } },
];

export const diskWrite: BenchCase = {
  name: 'disk-write',
  section: 'disk',
  async run(context) {
    const originDir = dirname(context.full.path);
    const results: CaseResult[] = [];
    for (const content of ['data', 'sparse'] as const) {
      const image = await baseImage(originDir, content);
      const suffix = content === 'data' ? '' : '; image all holes';
      results.push(await withDir(context, (dir) => withServers(context, dir, image.path, suffix)));
    }
    return { rows: results.flatMap(({ rows }) => rows), samples: results.map(({ samples }) => samples) };
  },
};

async function withServers(context: BenchContext, dir: string, imagePath: string, suffix: string): Promise<CaseResult> {
  const running = new Lifecycle();
  try {
    // The peers read the image while they write: it shall be in the page cache.
    await execa('cat', [imagePath], { stdout: 'ignore' });
    const servers = new Map<string, DiskServer>([
      ['copse', running.own(await startCopseDisks(join(dir, 'c'), imagePath))],
      [cow, nbdkitDisks(dir, imagePath, cow)],
      [cow4k, nbdkitDisks(dir, imagePath, cow4k, ['cow-block-size=4096'])],
      [qcow2, qemuDisks(dir, imagePath)],
    ]);
    const rows: Row[] = [];
    const samples: { work: string; rounds: Rounds }[] = [];
    for (const work of works) {
      const names = ['copse', ...Object.keys(work.wanted)];
      const contenders = names.flatMap((name) => {
        const server = servers.get(name);
        return server === undefined ? [] : [contender(context, dir, name, server, work)];
      });
      const rounds = await runRounds(contenders, work.measure, { pairs: context.pairs });
      samples.push({ work: work.title + suffix, rounds });
      for (const [peer, wanted] of Object.entries(work.wanted)) rows.push(rowOf(work.title + suffix, rounds, peer, wanted));
    }
    return { rows, samples };
  } finally {
    await running.close();
  }
}

function contender(context: BenchContext, dir: string, name: string, disks: DiskServer, work: WriteWork): Contender {
  return {
    name,
    async run() {
      const disk = await disks.fresh();
      try {
        // What runs before have left to be written is not this one's.
        await execa('sync', ['--file-system', dir]);
        const before = await disk.program.cpuSeconds();
        const { ioBytes } = work.load;
        const load: FioLoad = {
          ...work.load,
          uri: uriOf(disk),
          sizeBytes: 4 * GiB,
          repeat: ioBytes === undefined,
          ...(context.quick && ioBytes !== undefined ? { ioBytes: ioBytes / 8 } : {}),
          ...(context.quick && ioBytes === undefined ? { runtimeMs: 1_000 } : {}),
        };
        const result = await runFio(dir, load);
        const cpuSeconds = (await disk.program.cpuSeconds()) - before;
        const value = work.measure.unit === 'IOPS' ? result.operationsPerSecond : result.bytesPerSecond / 1e6;
        context.progress(`disk-write: ${work.title}, ${name}: ${value.toFixed(0)} ${work.measure.unit}`);
        return { value, cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations };
      } finally {
        await disk.close();
      }
    },
  };
}
