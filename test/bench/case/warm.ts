/** Warm reads, all of it in the page cache: what a hit costs. Servers run all the time, fio takes turns among them. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Lifecycle } from '../../../src/base/lifecycle.js';
import { GiB, KiB, MiB } from '../../../src/base/size.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { type FioLoad, runFio } from '../harness/fio.js';
import { type CaseResult, rowOf } from '../harness/report.js';
import { type Contender, type Measure, runRounds } from '../harness/round.js';
import { copse } from '../server/copse.js';
import { nbdkit } from '../server/nbdkit.js';
import { qemu } from '../server/qemu.js';
import { type RunningServer, uriOf } from '../server/server.js';

interface WarmWork {
  title: string;
  load: Pick<FioLoad, 'pattern' | 'blockBytes' | 'depth'>;
  measure: Measure;
  wantedOfNbdkit: number;
}

const works: WarmWork[] = [
  {
    title: 'warm random 4 KiB, depth 1',
    load: { pattern: 'randread', blockBytes: 4 * KiB, depth: 1 },
    measure: { unit: 'IOPS', better: 'higher' },
    wantedOfNbdkit: 0.9,
  },
  {
    title: 'warm random 4 KiB, depth 32',
    load: { pattern: 'randread', blockBytes: 4 * KiB, depth: 32 },
    measure: { unit: 'IOPS', better: 'higher' },
    wantedOfNbdkit: 0.9,
  },
  {
    title: 'warm sequential 1 MiB, depth 8',
    load: { pattern: 'read', blockBytes: MiB, depth: 8 },
    measure: { unit: 'MB/s', better: 'higher' },
    wantedOfNbdkit: 0.6,
  },
];

export const warm: BenchCase = {
  name: 'warm',
  run: (context) =>
    withDir(context, async (dir) => {
      const running = new Lifecycle();
      try {
        return await withServers(context, running, dir);
      } finally {
        await running.close();
      }
    }),
};

async function withServers(context: BenchContext, running: Lifecycle, dir: string): Promise<CaseResult> {
  const servers = new Map<string, RunningServer>();
  for (const kind of [copse, nbdkit, qemu]) {
    context.progress(`warm: starting ${kind.name}`);
    const ownDir = join(dir, kind.name);
    await mkdir(ownDir);
    const server = running.own(await kind.startWarm(ownDir, context.full.path));
    servers.set(kind.name, server);
    // Once through, so that its own file is in the page cache.
    await runFio(dir, { uri: uriOf(server), ...sequential, sizeBytes: GiB, runtimeMs: 60_000, repeat: false });
  }
  const results = [];
  for (const work of works) {
    const contenders = [...servers].map(([name, server]) => contender(context, name, server, work, dir));
    results.push({ work, rounds: await runRounds(contenders, work.measure, { pairs: context.pairs }) });
  }
  const rows = results.flatMap(({ work, rounds }) => [
    rowOf(work.title, rounds, 'nbdkit', work.wantedOfNbdkit, 'nbdkit file'),
    rowOf(work.title, rounds, 'qemu', 'ahead', 'qemu-nbd'),
  ]);
  return { rows, samples: results.map(({ work, rounds }) => ({ work: work.title, rounds })) };
}

const sequential = { pattern: 'read', blockBytes: MiB, depth: 8 } as const;

function contender(context: BenchContext, name: string, server: RunningServer, work: WarmWork, fioDir: string): Contender {
  return {
    name,
    async run() {
      context.progress(`warm: ${work.title}, ${name}`);
      const before = await server.program.cpuSeconds();
      const result = await runFio(fioDir, {
        uri: uriOf(server),
        ...work.load,
        sizeBytes: GiB,
        runtimeMs: context.quick ? 1_000 : 4_000,
        repeat: true,
      });
      const cpuSeconds = (await server.program.cpuSeconds()) - before;
      return {
        value: work.measure.unit === 'IOPS' ? result.operationsPerSecond : result.bytesPerSecond / 1e6,
        cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations,
      };
    },
  };
}
