/** A node dies by `kill -9` in the middle of the storm: the others' guests see no error, and the origin sends little twice. Its own guest dies with it. */
import type { StormCase, StormContext } from '../context.js';
import { withCpuUse } from '../lab/cpu.js';
import { tellApart } from '../lab/origin-use.js';
import { bootByTrace } from '../lab/replay-guest.js';
import { cpuSources, economy, hostsOf, runTable, type StormRun, startFleet, summary } from '../run.js';

export const homeKilled: StormCase = {
  name: 'home-killed',
  async run(context) {
    const hostCount = Math.max(2, Math.min(8, Math.max(...context.hostCounts)));
    const runs: StormRun[] = [];
    for (let round = 0; round < context.rounds; round += 1) {
      // Another victim and another pace in each round.
      for (const keepGaps of [false, true]) runs.push(await stormWithDeath(context, hostCount, keepGaps, (round + 1) % hostCount));
    }
    const worst = Math.max(...runs.map((run) => economy(context, run)));
    const failures = runs.reduce((sum, run) => sum + run.errorCount + run.wrongReads, 0);
    const rows = [
      {
        work: `origin bytes ÷ unique chunks touched, ${hostCount} hosts, one killed in the middle`,
        measured: `${worst.toFixed(3)} (the worst of ${runs.length} runs), ${failures} failed reads`,
        wanted: '≤ 1.10, no guest error',
        met: worst <= 1.1 && failures === 0,
      },
    ];
    return { rows, extras: [runTable('Storms in which a host dies, medians', runs)] };
  },
};

async function stormWithDeath(context: StormContext, hostCount: number, keepGaps: boolean, victimIndex: number): Promise<StormRun> {
  context.say(`${hostCount} × copse, host ${victimIndex + 1} is killed in the middle, ${keepGaps ? 'gaps kept' : 'no gaps'}`);
  const mark = await context.origin.mark();
  const fleet = await startFleet(context, 'copse', hostsOf(context, hostCount));
  try {
    const half = Math.floor(context.trace.reads.length / 2);
    let death: Promise<void> | undefined;
    const onRead = (doneCount: number): void => {
      if (doneCount >= half) death ??= fleet.servers[victimIndex]?.program.kill();
    };
    const { result: all, cpu } = await withCpuUse(cpuSources(context, fleet), () =>
      Promise.all(
        fleet.servers.map((server, index) =>
          bootByTrace(server, context.trace, context.expected, {
            keepGaps,
            onRead,
            isGone: index === victimIndex ? () => death !== undefined : undefined,
          }),
        ),
      ),
    );
    await death;
    const use = await context.origin.use(mark, 'copse');
    const run: StormRun = {
      kind: 'copse',
      hostCount,
      keepGaps,
      ...summary(all.filter((_, index) => index !== victimIndex)),
      origin: tellApart(use.ranges, context.touched, context.chunkBytes),
      interfaceBytes: use.interfaceBytes,
      cpu,
    };
    context.keep('home-killed', { victimIndex, ...run });
    return run;
  } finally {
    await fleet.close();
  }
}
