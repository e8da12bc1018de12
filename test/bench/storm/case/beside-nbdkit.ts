/** The same storm by nbdkit's curl plugin with cow-on-read on each host, in turns with Copse: each host alone costs the origin its boot. */
import { median } from '../../harness/statistic.js';
import type { StormCase } from '../context.js';
import { runTable, type StormRun, storm } from '../run.js';

export const besideNbdkit: StormCase = {
  name: 'nbdkit',
  async run(context) {
    const most = Math.max(...context.hostCounts);
    const runs: StormRun[] = [];
    const figures: { less: number; alone: number; time: number }[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      const [copse1, nbdkit1, copseN, nbdkitN] = [
        await storm(context, 'copse', 1, true, round),
        await storm(context, 'nbdkit', 1, true, round),
        await storm(context, 'copse', most, true, round),
        await storm(context, 'nbdkit', most, true, round),
      ];
      runs.push(copse1, nbdkit1, copseN, nbdkitN);
      figures.push({ less: sent(nbdkitN) / sent(copseN), alone: sent(nbdkit1) / sent(copse1), time: nbdkitN.seconds / copseN.seconds });
    }
    const less = median(figures.map((figure) => figure.less));
    const alone = median(figures.map((figure) => figure.alone));
    const time = median(figures.map((figure) => figure.time));
    const wanted = 0.9 * most * alone;
    const rows = [
      {
        work: `origin traffic of ${most} hosts, nbdkit curl + cow-on-read ÷ Copse`,
        measured: `${less.toFixed(2)}×`,
        wanted: `≥ ${wanted.toFixed(2)}× (0.9 × ${most} × ${alone.toFixed(2)}, the same of 1 host)`,
        met: less >= wanted,
      },
      { work: `time of ${most} hosts, nbdkit ÷ Copse, gaps kept`, measured: `${time.toFixed(2)}×`, wanted: '' },
    ];
    return { rows, extras: [runTable('Beside nbdkit, medians', runs)] };
  },
};

/** All of it, readahead too. */
function sent(run: StormRun): number {
  return run.origin.touchedBytes + run.origin.beyondBytes;
}
