/** Load by fio's nbd engine: the same program, over the same kind of socket, for every server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { CopseError } from '../../../src/base/error.js';
import { foreignErrorCode } from '../../../src/base/error-code.js';
import { percentile } from './statistic.js';

export interface FioLoad {
  uri: string;
  pattern: 'read' | 'randread' | 'write' | 'randwrite';
  blockBytes: number;
  depth: number;
  /** Span of the export that is touched. */
  sizeBytes: number;
  /** Ends after this time, or when the whole span (or `ioBytes` of it) was touched once; with `repeat` only the time counts. */
  runtimeMs: number;
  repeat: boolean;
  /** So much of the span is enough. */
  ioBytes?: number | undefined;
  /** So many connections, each by a process of its own, all over the same span. Default: 1. */
  jobs?: number | undefined;
  /** Other offsets for another seed; the same ones each time without. */
  seed?: number | undefined;
  /** Writes: a FLUSH once at the end, whose time counts, or after each. */
  flush?: 'end' | 'each' | undefined;
}

export interface FioResult {
  operationsPerSecond: number;
  bytesPerSecond: number;
  operations: number;
  /** Of reads, from sending the request to its answer, as somebody finds it who asks every millisecond. */
  p99Us: number;
}

const direction = z.object({
  io_bytes: z.number(),
  total_ios: z.number(),
  runtime: z.number(),
  clat_ns: z.object({ bins: z.record(z.string(), z.number()).optional() }),
});
const output = z.object({ jobs: z.array(z.object({ error: z.number(), read: direction, write: direction })) });

/** @param dir where fio may leave its output. @throws CopseError `ERR_PROGRAM` when a request failed */
export async function runFio(dir: string, load: FioLoad): Promise<FioResult> {
  const outputPath = join(dir, 'fio.json');
  const result = await execa(
    'fio',
    [
      '--name=bench',
      '--ioengine=nbd',
      `--uri=${load.uri}`,
      `--rw=${load.pattern}`,
      `--bs=${load.blockBytes}`,
      `--iodepth=${load.depth}`,
      `--size=${load.sizeBytes}`,
      `--runtime=${Math.round(load.runtimeMs)}ms`,
      ...(load.repeat ? ['--time_based'] : []),
      ...(load.seed === undefined ? [] : [`--randseed=${load.seed}`]),
      ...(load.jobs === undefined ? [] : [`--numjobs=${load.jobs}`, '--group_reporting']),
      ...(load.ioBytes === undefined ? [] : [`--io_size=${load.ioBytes}`]),
      ...(load.flush === 'end' ? ['--end_fsync=1'] : []),
      ...(load.flush === 'each' ? ['--fsync=1'] : []),
      // Blocks that are written come once each.
      ...(load.pattern === 'randread' ? ['--norandommap'] : []),
      '--output-format=json+',
      `--output=${outputPath}`,
    ],
    { reject: false, all: true, cwd: dir },
  );
  if (result.failed)
    throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `fio failed on ${load.uri}: ${result.all ?? result.shortMessage}`);
  const text = await readFile(outputPath, 'utf8');
  // Its remarks may stand before the JSON.
  const [job] = output.parse(JSON.parse(text.slice(text.indexOf('{\n')))).jobs;
  if (job === undefined || job.error !== 0)
    throw new CopseError(foreignErrorCode('ERR_PROGRAM'), `fio met error ${job?.error} on ${load.uri}`);
  const done = load.pattern.endsWith('write') ? job.write : job.read;
  const seconds = done.runtime / 1000;
  const bins = Object.entries(done.clat_ns.bins ?? {}).map(([ns, count]) => [Number(ns) / 1000, count] as const);
  return {
    operationsPerSecond: done.total_ios / seconds,
    bytesPerSecond: done.io_bytes / seconds,
    operations: done.total_ios,
    p99Us: percentile(bins, 0.99, 1_000),
  };
}
