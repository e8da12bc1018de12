/**
 * What hits feel of what else the daemon does: p99 of warm 4 KiB reads at depth 1, quiet and disturbed, in turns.
 *
 * The fill is compared with a machine on which somebody else burns as much CPU: what a fill costs beyond its CPU is what Copse answers for.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Closeable, Lifecycle } from '../../../src/base/lifecycle.js';
import { GiB, KiB } from '../../../src/base/size.js';
import { defaults } from '../../../src/config/schema.js';
import { type BenchCase, type BenchContext, withDir } from '../context.js';
import { runFio } from '../harness/fio.js';
import { baseImage } from '../harness/image-file.js';
import { Inspector } from '../harness/inspector.js';
import { HttpOrigin } from '../harness/origin.js';
import { type CaseResult, type Row, timesRowOf } from '../harness/report.js';
import { type Contender, type Rounds, runRounds, type Sample } from '../harness/round.js';
import { startBurner } from '../load/burner.js';
import { blockTheLoop, fillAnImage, waitForOrigin } from '../load/disturbance.js';
import { type RunningCopse, startCopse } from '../server/copse.js';
import { copseVariants, readAll } from '../server/fast-peer.js';
import { uriOf } from '../server/server.js';

const slowMs = 1_000;
const quiet = 'quiet';
const burnt = 'beside as much CPU burnt by others';
const disturbances = {
  misses: "p99 of hits while other clients' misses wait 1 s",
  blocked: 'p99 of hits while JavaScript is blocked for 1 s',
  filled: 'p99 of hits while another image is filled at full speed',
} as const;

export const fastUndisturbed: BenchCase = {
  name: 'fast-undisturbed',
  section: 'fast',
  run: (context) =>
    withDir(context, async (dir): Promise<CaseResult> => {
      const running = new Lifecycle();
      try {
        const slowOrigin = running.own(await HttpOrigin.start(join(dir, 'nginx'), dirname(context.full.path), [slowMs]));
        const rows: Row[] = [];
        const samples: Record<string, Rounds> = {};
        for (const [name, flags] of await copseVariants()) {
          const ownDir = join(dir, `c${rows.length}`);
          await mkdir(ownDir);
          const rounds = await measure(context, ownDir, name, flags, slowOrigin);
          samples[name] = rounds;
          const [most, suffix] = name === 'copse' ? [1.5, ''] : [undefined, `, ${name}`];
          for (const [disturbed, title] of Object.entries(disturbances)) {
            rows.push(timesRowOf(title + suffix, rounds, disturbed, disturbed === 'filled' ? burnt : quiet, most));
          }
        }
        return { rows, samples };
      } finally {
        await running.close();
      }
    }),
};

async function measure(
  context: BenchContext,
  dir: string,
  name: string,
  flags: readonly string[],
  slowOrigin: HttpOrigin,
): Promise<Rounds> {
  const image = await baseImage(dirname(context.full.path), 'data');
  const running = new Lifecycle();
  try {
    const missed = slowOrigin.url(slowMs, 'copse', image.name);
    const server = running.own(
      await startCopse(dir, {
        images: { image: context.full.path, missed },
        flags,
        wrap: (command, args) => ({ command, args: ['--inspect=127.0.0.1:0', ...args] }),
      }),
    );
    const inspector = running.own(await Inspector.connect(join(dir, 'log')));
    await server.warm('image');
    await readAll(dir, server, GiB);
    const hits = (title: string) => readHits(context, dir, server, `${name}, ${title}`);
    /** CPU for each second that a fill uses beyond what the hits beside it cost, its origin's with it: of the last fill. */
    let fillCores = 1;
    const during = (title: string, begin: (roundIndex: number) => Promise<Closeable>): Contender => ({
      name: title,
      async run(roundIndex) {
        const disturbance = await begin(roundIndex);
        try {
          return await hits(title);
        } finally {
          await disturbance.close();
        }
      },
    });
    let quietCpuUs = 0;
    const contenders: Contender[] = [
      {
        name: quiet,
        async run() {
          const sample = await hits(quiet);
          quietCpuUs = sample.cpuUsPerOperation ?? 0;
          return sample;
        },
      },
      during('misses', (roundIndex) => waitForOrigin(server, 'missed', image.sizeBytes / defaults.imageDefault.chunkSizeBytes, roundIndex)),
      during('blocked', async () => blockTheLoop(inspector)),
      {
        name: 'filled',
        async run(roundIndex) {
          const exportName = `filled-${roundIndex}`;
          const fill = await fillAnImage(server, exportName, context.origin.url(1, `copse-${exportName}`, image.name));
          try {
            const before = (await context.origin.cpuSeconds()) + (await server.program.cpuSeconds());
            const startMs = performance.now();
            const sample = await hits('filled');
            const seconds = (performance.now() - startMs) / 1000;
            const cpuSeconds = (await context.origin.cpuSeconds()) + (await server.program.cpuSeconds()) - before;
            fillCores = Math.max(0.1, (cpuSeconds - (quietCpuUs * (sample.note?.['operations'] ?? 0)) / 1e6) / seconds);
            context.progress(`the fill used ${fillCores.toFixed(2)} cores`);
            return { ...sample, note: { ...sample.note, fillCores } };
          } finally {
            await fill.close();
          }
        },
      },
      during(burnt, async () => startBurner(fillCores)),
    ];
    return await runRounds(contenders, { unit: 'µs', better: 'lower' }, { pairs: context.pairs });
  } finally {
    await running.close();
  }
}

async function readHits(context: BenchContext, dir: string, server: RunningCopse, title: string): Promise<Sample> {
  const before = await server.program.cpuSeconds();
  const result = await runFio(dir, {
    uri: uriOf(server),
    ...{ pattern: 'randread', blockBytes: 4 * KiB, depth: 1, sizeBytes: GiB },
    ...{ runtimeMs: context.quick ? 1_500 : 4_000, repeat: true },
  });
  const cpuSeconds = (await server.program.cpuSeconds()) - before;
  context.progress(`${title}: p99 ${result.p99Us} µs, ${result.operationsPerSecond.toFixed(0)} IOPS`);
  return { value: result.p99Us, cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations, note: { operations: result.operations } };
}
