/** Rule 2 in figures: what the origin sends, in units of what the boot touches, is the same for any number of hosts. */
import type { StormCase } from '../context.js';
import { economy, runTable, type StormRun, storm } from '../run.js';

export const economyCase: StormCase = {
  name: 'economy',
  async run(context) {
    const runs: StormRun[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      for (const keepGaps of [false, true]) {
        for (const hostCount of context.hostCounts) runs.push(await storm(context, 'copse', hostCount, keepGaps, round));
      }
    }
    const rows = context.hostCounts.flatMap((hostCount) => {
      const own = runs.filter((run) => run.hostCount === hostCount);
      const worst = Math.max(...own.map((run) => economy(context, run)));
      const failures = own.reduce((sum, run) => sum + run.errorCount + run.wrongReads, 0);
      return [
        {
          work: `origin bytes ÷ unique chunks touched, ${hostCount} ${hostCount === 1 ? 'host' : 'hosts starting together'}`,
          measured: `${worst.toFixed(3)} (the worst of ${own.length} runs)${failures > 0 ? `, ${failures} failed reads` : ''}`,
          wanted: '≤ 1.02',
          met: worst <= 1.02 && failures === 0,
        },
      ];
    });
    return { rows, extras: [runTable('Storms, medians', runs)] };
  },
};
