/** How much longer N hosts take to boot than one, over the same line to the origin; the last guest counts. */
import { cpus } from 'node:os';
import { median } from '../../harness/statistic.js';
import type { StormCase } from '../context.js';
import { runTable, type StormRun, storm } from '../run.js';

const wantedRatios: ReadonlyMap<number, number> = new Map([[8, 1.15]]);

export const scaling: StormCase = {
  name: 'scaling',
  async run(context) {
    const counts = context.hostCounts.filter((count) => count > 1);
    const runs: StormRun[] = [];
    const rounds: { one: StormRun; many: Map<number, StormRun> }[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      const one = await storm(context, 'copse', 1, true, round);
      const many = new Map<number, StormRun>();
      for (const count of counts) many.set(count, await storm(context, 'copse', count, true, round));
      rounds.push({ one, many });
      runs.push(one, ...many.values());
    }
    const rows = counts.map((count) => {
      const pairs = rounds.flatMap(({ one, many }) => {
        const run = many.get(count);
        return run === undefined ? [] : [{ one, run }];
      });
      const ratios = pairs.map(({ one, run }) => run.seconds / one.seconds);
      const ratio = median(ratios);
      const busy = median(pairs.map(({ run }) => run.cpu.busyCores));
      const wanted = wantedRatios.get(count);
      return {
        work: `time for ${count} hosts ÷ time for 1, gaps kept`,
        measured: `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}), ${busy.toFixed(2)} of ${cpus().length} cores busy`,
        wanted: wanted === undefined ? '' : `≤ ${wanted}`,
        met: wanted === undefined ? undefined : ratio <= wanted,
      };
    });
    return { rows, extras: [runTable('Storms with gaps kept, medians', runs)] };
  },
};
