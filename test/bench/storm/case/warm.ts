/** A host that just joined a cluster which holds the boot, beside the same host a moment later, when it holds the boot itself. */
import { median } from '../../harness/statistic.js';
import type { StormCase } from '../context.js';
import { tellApart } from '../lab/origin-use.js';
import { bootByTrace } from '../lab/replay-guest.js';
import { hostsOf, startGrowingFleet } from '../run.js';

const memberCount = 3;

export const warm: StormCase = {
  name: 'warm',
  async run(context) {
    const ratios: number[] = [];
    const colds: number[] = [];
    const warms: number[] = [];
    let failures = 0;
    let sentBytes = 0;
    for (let round = 0; round < context.rounds; round += 1) {
      context.say(`${memberCount} hosts hold the boot, one more joins and boots twice`);
      const members = hostsOf(context, memberCount);
      const newcomer = context.lab.hosts[memberCount];
      if (newcomer === undefined) throw new Error('the lab is too small');
      const fleet = await startGrowingFleet(context, members, [newcomer]);
      try {
        const boot = (index: number, keepGaps: boolean) => {
          const server = fleet.servers[index];
          if (server === undefined) throw new Error(`there is no server ${index}`);
          return bootByTrace(server, context.trace, context.expected, { keepGaps });
        };
        await Promise.all(members.map((_, index) => boot(index, false)));
        const mark = await context.origin.mark();
        await fleet.join(newcomer);
        const cold = await boot(memberCount, true);
        const { ranges } = await context.origin.use(mark, 'copse');
        const again = await boot(memberCount, true);
        // A node learns size and validator of the image by one byte of it.
        const use = tellApart(
          ranges.filter(({ lengthBytes }) => lengthBytes > 1),
          context.touched,
          context.chunkBytes,
        );
        context.keep('warm', { cold, again, use });
        sentBytes += use.touchedBytes;
        failures += [cold, again].reduce((sum, guest) => sum + guest.errors.length + guest.wrongReads, 0);
        colds.push(cold.seconds);
        warms.push(again.seconds);
        ratios.push(cold.seconds / again.seconds);
      } finally {
        await fleet.close();
      }
    }
    const ratio = median(ratios);
    return {
      rows: [
        {
          work: 'host-cold, cluster-warm boot replay ÷ host-warm, gaps kept',
          measured: `${ratio.toFixed(3)} (${Math.min(...ratios).toFixed(3)}-${Math.max(...ratios).toFixed(3)}): ${median(colds).toFixed(2)} s, ${median(warms).toFixed(2)} s${failures > 0 ? `, ${failures} failed reads` : ''}`,
          wanted: '≤ 1.15',
          met: ratio <= 1.15 && failures === 0,
        },
        {
          work: 'the same: bytes of touched chunks from the origin',
          measured: String(sentBytes),
          wanted: '0',
          met: sentBytes === 0,
        },
      ],
    };
  },
};
