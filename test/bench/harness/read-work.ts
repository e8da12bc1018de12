/** Reads that servers which run all the time are given in turns, and the rows that come of them: the rate, and the server's CPU. */
import { execa } from 'execa';
import { GiB, MiB } from '../../../src/base/size.js';
import type { BenchContext } from '../context.js';
import { keepCoresAwake } from '../load/burner.js';
import { type RunningServer, uriOf } from '../server/server.js';
import { type FioLoad, runFio } from './fio.js';
import { cpuRowOf, type Row, rowOf } from './report.js';
import { type Contender, type Rounds, runRounds } from './round.js';

export interface ReadWork {
  title: string;
  /** By fio, or all of it by nbdcopy over 4 connections. */
  load: Pick<FioLoad, 'pattern' | 'blockBytes' | 'depth' | 'jobs'> | 'nbdcopy';
  unit: 'IOPS' | 'MB/s';
  /** Whether cores are kept from sleeping meanwhile. */
  awake?: boolean;
  /** By contender: at least this multiple of its rate, at most that multiple of its CPU for each read. Who is not there is left out. */
  wanted: Record<string, { title: string; rate: number | 'ahead'; cpu?: number | 'ahead' }>;
}

export interface ReadOptions {
  /** Default: 1 GiB. */
  sizeBytes?: number;
  /** Each run. */
  before?: () => Promise<void>;
  /** Each run has offsets of its own, that nobody profits from what a disk below remembers of the run before. */
  ownOffsets?: boolean;
}

export interface ReadRun {
  work: string;
  rounds: Rounds;
}

export async function runReadWork(
  context: BenchContext,
  dir: string,
  servers: ReadonlyMap<string, RunningServer>,
  work: ReadWork,
  options: ReadOptions = {},
): Promise<{ rows: Row[]; run: ReadRun }> {
  const contenders = [...servers].map(
    ([name, server], index): Contender => ({
      name,
      async run(roundIndex) {
        await options.before?.();
        const seed = options.ownOffsets ? 1 + roundIndex * servers.size + index : undefined;
        const startSeconds = await server.program.cpuSeconds();
        const result = await load(context, dir, server, work.load, { sizeBytes: options.sizeBytes ?? GiB, seed });
        const cpuSeconds = (await server.program.cpuSeconds()) - startSeconds;
        const value = work.unit === 'IOPS' ? result.operationsPerSecond : result.bytesPerSecond / 1e6;
        const cpuUsPerOperation = (cpuSeconds * 1e6) / result.operations;
        context.progress(`${work.title}, ${name}: ${value.toFixed(0)} ${work.unit}, ${cpuUsPerOperation.toFixed(2)} µs`);
        return { value, cpuUsPerOperation };
      },
    }),
  );
  const awake = work.awake ? keepCoresAwake() : undefined;
  const rounds = await runRounds(contenders, { unit: work.unit, better: 'higher' }, { pairs: context.pairs }).finally(() => awake?.close());
  const rows = Object.entries(work.wanted).flatMap(([name, { title, rate, cpu }]) =>
    servers.has(name)
      ? [rowOf(work.title, rounds, name, rate, title), ...(cpu === undefined ? [] : [cpuRowOf(work.title, rounds, name, cpu, title)])]
      : [],
  );
  return { rows, run: { work: work.title, rounds } };
}

type Done = Pick<Awaited<ReturnType<typeof runFio>>, 'operationsPerSecond' | 'bytesPerSecond' | 'operations'>;

async function load(
  context: BenchContext,
  dir: string,
  server: RunningServer,
  load: ReadWork['load'],
  { sizeBytes, seed }: { sizeBytes: number; seed: number | undefined },
): Promise<Done> {
  if (load === 'nbdcopy') return copyAll(uriOf(server), sizeBytes, context.quick ? 1 : 5);
  return runFio(dir, { uri: uriOf(server), ...load, sizeBytes, seed, runtimeMs: context.quick ? 1_000 : 4_000, repeat: true });
}

/** Its start and end are in the time. Operations are MiB. */
async function copyAll(uri: string, sizeBytes: number, times: number): Promise<Done> {
  const startMs = performance.now();
  for (let done = 0; done < times; done += 1) await execa('nbdcopy', ['--connections=4', uri, 'null:']);
  const seconds = (performance.now() - startMs) / 1000;
  const operations = (sizeBytes * times) / MiB;
  return { operationsPerSecond: operations / seconds, bytesPerSecond: (sizeBytes * times) / seconds, operations };
}
