/** Four clients read the same cold chunk at once: how many requests reach the origin? */
import { KiB, MiB } from '../../../src/base/size.js';
import type { BenchCase } from '../context.js';
import { boundRow } from '../harness/report.js';
import { shuffled } from '../harness/statistic.js';
import { connectReader } from '../load/nbd-reader.js';
import { coldRun } from '../server/cold-run.js';
import { copse } from '../server/copse.js';

const latencyMs = 10;
const clientCount = 4;
const chunkCount = 40;

export const singleFlight: BenchCase = {
  name: 'single-flight',
  async run(context) {
    context.progress(`single-flight: ${clientCount} clients`);
    const requestCounts: number[] = [];
    await coldRun(context, copse, latencyMs, async (server) => {
      const readers = await Promise.all(Array.from({ length: clientCount }, () => connectReader(server)));
      try {
        // Far apart and in no order, so that readahead has no part in it.
        for (const index of shuffled(context.full.sizeBytes / (8 * MiB), 1).slice(0, chunkCount)) {
          const mark = await context.origin.mark(latencyMs);
          await Promise.all(readers.map((reader) => reader.read(index * 8 * MiB + 20 * KiB, 4 * KiB)));
          requestCounts.push((await context.origin.use(mark, copse.name)).requests);
        }
      } finally {
        await Promise.all(readers.map((reader) => reader.close()));
      }
    });
    const most = Math.max(...requestCounts);
    const measured = `${most} (the most of ${chunkCount} chunks)`;
    return {
      rows: [boundRow(`${clientCount} clients, the same cold chunk, at once: origin requests`, measured, '1', most === 1)],
      samples: requestCounts,
    };
  },
};
