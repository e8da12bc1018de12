/** Cold random 4 KiB reads, each chunk touched once, from an origin that takes 10 ms for each request. The same offsets for all contenders of a round. */
import { KiB, MiB } from '../../../src/base/size.js';
import { defaults } from '../../../src/config/schema.js';
import type { BenchCase, BenchContext } from '../context.js';
import { rowOf } from '../harness/report.js';
import { type Contender, runRounds } from '../harness/round.js';
import { shuffled } from '../harness/statistic.js';
import { connectReader } from '../load/nbd-reader.js';
import { readEach } from '../load/reader.js';
import { coldRun } from '../server/cold-run.js';
import { copse } from '../server/copse.js';
import { nbdkit } from '../server/nbdkit.js';
import { qemu } from '../server/qemu.js';
import type { ServerKind } from '../server/server.js';

const latencyMs = 10;
const strideBytes = defaults.imageDefault.chunkSizeBytes;
/** Where in its chunk a read lies: not at the start, so that fetching a block from its own offset on is no advantage. */
const withinBytes = 36 * KiB;

export const coldRandom: BenchCase = {
  name: 'cold-random',
  async run(context) {
    const results = [];
    for (const depth of [1, 32]) {
      const contenders = [copse, nbdkit, qemu].map((kind) => contender(context, kind, depth));
      results.push({ depth, rounds: await runRounds(contenders, { unit: 'IOPS', better: 'higher' }, { pairs: context.pairs }) });
    }
    const rows = results.flatMap(({ depth, rounds }) => {
      const work = `cold random 4 KiB, each chunk once, depth ${depth}, origin ${latencyMs} ms`;
      const wanted = depth === 1 ? 1 : 8;
      return [rowOf(work, rounds, 'nbdkit', wanted, 'nbdkit curl + cow-on-read'), rowOf(work, rounds, 'qemu', wanted, 'QEMU copy-on-read')];
    });
    return { rows, samples: results };
  },
};

function contender(context: BenchContext, kind: ServerKind, depth: number): Contender {
  return {
    name: kind.name,
    async run(roundIndex) {
      context.progress(`cold-random: ${kind.name}, depth ${depth}`);
      const count = context.full.sizeBytes / strideBytes;
      const offsets = shuffled(count, roundIndex + 1).map((index) => index * strideBytes + withinBytes);
      const { result, cpuSeconds, use } = await coldRun(context, kind, latencyMs, async (server) => {
        const reader = await connectReader(server);
        try {
          return await readEach(reader, offsets, { lengthBytes: 4 * KiB, depth, limitMs: context.quick ? 1_500 : 5_000 });
        } finally {
          await reader.close();
        }
      });
      return {
        value: result.operations / result.seconds,
        cpuUsPerOperation: (cpuSeconds * 1e6) / result.operations,
        note: { operations: result.operations, originRequests: use.requests, originMiB: use.bytes / MiB },
      };
    },
  };
}
