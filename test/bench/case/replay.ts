/**
 * Replay of recorded boots against origins of 1, 10 and 50 ms: time to the answer of the last read.
 *
 * Without the recorded gaps each read follows at once on the answer before it; with them the guest's own work lies between.
 */
import { MiB } from '../../../src/base/size.js';
import type { BenchCase, BenchContext } from '../context.js';
import { type CaseResult, rowOf } from '../harness/report.js';
import { type Contender, runRounds } from '../harness/round.js';
import { loadTrace, type Trace, traceNames } from '../harness/trace.js';
import { connectReader } from '../load/nbd-reader.js';
import { replay } from '../load/reader.js';
import { coldRun } from '../server/cold-run.js';
import { copse } from '../server/copse.js';
import { nbdkit } from '../server/nbdkit.js';
import { qemu } from '../server/qemu.js';
import type { ServerKind } from '../server/server.js';

/** From here on a replay at depth 1 is nearly all waiting, and the contenders of a round run side by side: it saves most of an hour. */
const sideBySideFromMs = 10;

export const bootReplay: BenchCase = {
  name: 'replay',
  async run(context) {
    const results: CaseResult[] = [];
    const [fast] = traceNames;
    for (const name of context.traces ?? (context.quick ? [fast] : traceNames)) {
      const trace = await loadTrace(name);
      // The gaps of the longer traces alone would take 44 s for each run.
      for (const keepGaps of name === fast && !context.quick ? [false, true] : [false]) {
        for (const latencyMs of context.latenciesMs) results.push(await replayRow(context, trace, latencyMs, keepGaps));
      }
    }
    return { rows: results.flatMap((result) => result.rows), samples: results.map((result) => result.samples) };
  },
};

async function replayRow(context: BenchContext, trace: Trace, latencyMs: number, keepGaps: boolean): Promise<CaseResult> {
  const contenders = [copse, nbdkit, qemu].map((kind) => contender(context, kind, trace, latencyMs, keepGaps));
  const sideBySide = latencyMs >= sideBySideFromMs;
  const rounds = await runRounds(contenders, { unit: 's', better: 'lower' }, { pairs: context.pairs, sideBySide });
  const work = `replay ${trace.name}, ${keepGaps ? 'with' : 'no'} gaps, origin ${latencyMs} ms`;
  const rows = [
    rowOf(work, rounds, 'nbdkit', 'ahead', 'nbdkit curl + cow-on-read'),
    rowOf(work, rounds, 'qemu', 'ahead', 'QEMU copy-on-read'),
  ];
  return { rows, samples: { work, rounds } };
}

function contender(context: BenchContext, kind: ServerKind, trace: Trace, latencyMs: number, keepGaps: boolean): Contender {
  return {
    name: kind.name,
    async run() {
      context.progress(`replay: ${trace.name}${keepGaps ? ' with gaps' : ''}, origin ${latencyMs} ms, ${kind.name}`);
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
        note: { originRequests: use.requests, originMiB: use.bytes / MiB },
      };
    },
  };
}
