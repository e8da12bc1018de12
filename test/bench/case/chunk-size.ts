/**
 * What chunk size is best? The recorded boots through the real daemon, for each size and origin latency: time to the last read,
 * bytes fetched ÷ bytes touched (4 KiB pages), requests.
 */
import { formatSize, KiB } from '../../../src/base/size.js';
import type { BenchCase, BenchContext } from '../context.js';
import type { CaseResult } from '../harness/report.js';
import { type Contender, medianValue, type Rounds, runRounds } from '../harness/round.js';
import { median } from '../harness/statistic.js';
import { loadTrace, type Trace, traceNames } from '../harness/trace.js';
import { connectReader } from '../load/nbd-reader.js';
import { replay } from '../load/reader.js';
import { coldRun } from '../server/cold-run.js';
import { startCopse } from '../server/copse.js';

const chunkSizesBytes = [64 * KiB, 128 * KiB, 256 * KiB, 512 * KiB, 1024 * KiB];

export const chunkSize: BenchCase = {
  name: 'chunk-size',
  onRequest: true,
  async run(context) {
    const rows: string[][] = [];
    const samples: unknown[] = [];
    const [fast] = traceNames;
    for (const name of context.traces ?? (context.quick ? [fast] : traceNames)) {
      const trace = await loadTrace(name);
      for (const keepGaps of name === fast ? [false, true] : [false]) {
        for (const latencyMs of context.latenciesMs) {
          const contenders = chunkSizesBytes.map((bytes) => contender(context, trace, latencyMs, bytes, keepGaps));
          const rounds = await runRounds(contenders, { unit: 's', better: 'lower' }, { pairs: context.pairs });
          rows.push([`${name}${keepGaps ? ', gaps' : ''}`, `${latencyMs} ms`, ...contenders.map((each) => cell(rounds, each.name))]);
          samples.push({ trace: name, latencyMs, keepGaps, rounds });
        }
      }
    }
    const title = 'Chunk size: seconds to the last read · bytes fetched ÷ bytes touched · requests';
    const head = ['trace', 'origin', ...chunkSizesBytes.map((bytes) => formatSize(bytes))];
    const result: CaseResult = { rows: [], extras: [{ title, head, rows }], samples };
    return result;
  },
};

function cell(rounds: Rounds, name: string): string {
  const of = (key: string): number => median((rounds.samples[name] ?? []).map((sample) => sample.note?.[key] ?? Number.NaN));
  return `${medianValue(rounds, name).toFixed(2)} · ${of('fetchedByTouched').toFixed(2)} · ${of('originRequests').toFixed(0)}`;
}

function contender(context: BenchContext, trace: Trace, latencyMs: number, chunkSizeBytes: number, keepGaps: boolean): Contender {
  return {
    name: formatSize(chunkSizeBytes),
    async run() {
      context.progress(`chunk-size: ${trace.name}${keepGaps ? ' with gaps' : ''}, origin ${latencyMs} ms, ${formatSize(chunkSizeBytes)}`);
      const kind = {
        name: 'copse' as const,
        startCold: (dir: string, url: string) => startCopse(dir, { images: { image: url }, chunkSizeBytes }),
      };
      const { result, cpuSeconds, use } = await coldRun(context, kind, latencyMs, async (server) => {
        const reader = await connectReader(server);
        try {
          return await replay(reader, trace, keepGaps);
        } finally {
          await reader.close();
        }
      });
      return {
        value: result.seconds,
        cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations,
        note: { originRequests: use.requests, originBytes: use.bytes, fetchedByTouched: use.bytes / trace.touchedBytes },
      };
    },
  };
}
