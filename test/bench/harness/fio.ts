/** Load by fio's nbd engine: the same program, over the same kind of socket, for every server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { CopseError } from '../../../src/base/error.js';

export interface FioLoad {
  uri: string;
  pattern: 'read' | 'randread';
  blockBytes: number;
  depth: number;
  /** Span of the export that is read. */
  sizeBytes: number;
  /** Ends after this time, or when the whole span was read once; with `repeat` only the time counts. */
  runtimeMs: number;
  repeat: boolean;
}

export interface FioResult {
  operationsPerSecond: number;
  bytesPerSecond: number;
  operations: number;
}

const output = z.object({
  jobs: z.array(z.object({ error: z.number(), read: z.object({ io_bytes: z.number(), total_ios: z.number(), runtime: z.number() }) })),
});

/** @param dir where fio may leave its output. @throws CopseError `ERR_PROGRAM` when a read failed */
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
      ...(load.pattern === 'randread' ? ['--norandommap'] : []),
      '--output-format=json',
      `--output=${outputPath}`,
    ],
    { reject: false, all: true, cwd: dir },
  );
  if (result.failed) throw new CopseError('ERR_PROGRAM', `fio failed on ${load.uri}: ${result.all ?? result.shortMessage}`);
  const text = await readFile(outputPath, 'utf8');
  // Its remarks may stand before the JSON.
  const [job] = output.parse(JSON.parse(text.slice(text.indexOf('{\n')))).jobs;
  if (job === undefined || job.error !== 0) throw new CopseError('ERR_PROGRAM', `fio met error ${job?.error} on ${load.uri}`);
  const seconds = job.read.runtime / 1000;
  return {
    operationsPerSecond: job.read.total_ios / seconds,
    bytesPerSecond: job.read.io_bytes / seconds,
    operations: job.read.total_ios,
  };
}
