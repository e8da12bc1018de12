/** Cold sequential read of the image from an origin that takes 10 ms for each request: 256 KiB, depth 8. */

import { GiB, KiB, MiB } from '../../../src/base/size.js';
import type { BenchCase, BenchContext } from '../context.js';
import { runFio } from '../harness/fio.js';
import { rowOf } from '../harness/report.js';
import { type Contender, runRounds } from '../harness/round.js';
import { runBareUndici } from '../load/bare-undici-run.js';
import { coldRun } from '../server/cold-run.js';
import { copse } from '../server/copse.js';
import { nbdkit } from '../server/nbdkit.js';
import { type ServerKind, uriOf } from '../server/server.js';

const latencyMs = 10;

export const coldSequential: BenchCase = {
  name: 'cold-sequential',
  async run(context) {
    const sizeBytes = context.quick ? GiB / 4 : GiB;
    // nbdkit needs most of a minute for 1 GiB at a constant rate: it is measured by what it got in this time.
    const limitMs = context.quick ? 4_000 : 15_000;
    const contenders = [copse, nbdkit].map((kind) => byFio(context, kind, sizeBytes, limitMs));
    contenders.push(bareUndici(context, sizeBytes));
    const rounds = await runRounds(contenders, { unit: 'MB/s', better: 'higher' }, { pairs: context.pairs });
    const work = `cold sequential, 256 KiB, depth 8, origin ${latencyMs} ms`;
    const rows = [
      rowOf(work, rounds, 'nbdkit', 10, 'nbdkit curl + cow-on-read'),
      rowOf(work, rounds, 'undici', 0.6, 'bare undici dispatch, 8 in flight'),
    ];
    return { rows, samples: rounds };
  },
};

function byFio(context: BenchContext, kind: ServerKind, sizeBytes: number, limitMs: number): Contender {
  return {
    name: kind.name,
    async run() {
      context.progress(`cold-sequential: ${kind.name}`);
      const { result, cpuSeconds, use } = await coldRun(context, kind, latencyMs, (server, dir) =>
        runFio(dir, {
          uri: uriOf(server),
          pattern: 'read',
          blockBytes: 256 * KiB,
          depth: 8,
          sizeBytes,
          runtimeMs: limitMs,
          repeat: false,
        }),
      );
      return {
        value: result.bytesPerSecond / 1e6,
        cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations,
        note: { readMiB: (result.operations * 256 * KiB) / MiB, originRequests: use.requests, originMiB: use.bytes / MiB },
      };
    },
  };
}

function bareUndici(context: BenchContext, sizeBytes: number): Contender {
  return {
    name: 'undici',
    async run() {
      context.progress('cold-sequential: bare undici');
      const url = context.origin.url(latencyMs, 'undici', context.full.name);
      const result = await runBareUndici({ url, sizeBytes, rangeBytes: 256 * KiB, inFlight: 8 });
      return {
        value: result.bytes / result.seconds / 1e6,
        cpuUsPerOperation: (result.cpuSeconds * 1e6) / (result.bytes / (256 * KiB)),
      };
    },
  };
}
