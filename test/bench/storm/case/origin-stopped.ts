/**
 * The origin is gone, the cluster holds the boot: a host with an empty cache boots. Once a host that was started before the origin went, once one that
 * is started afterwards and never saw it.
 */

import { errorMessage } from '../../../../src/base/error.js';
import type { LabPlace } from '../../../lab/place.js';
import type { StormCase, StormContext } from '../context.js';
import { bootByTrace } from '../lab/replay-guest.js';
import { hostsOf, startGrowingFleet } from '../run.js';

const memberCount = 3;

export const originStopped: StormCase = {
  name: 'origin-stopped',
  async run(context) {
    const [before, after] = context.lab.hosts.slice(memberCount);
    if (before === undefined || after === undefined) throw new Error('the lab is too small');
    return {
      rows: [
        await bootWithoutOrigin(context, before, 'a host that joined before boots', true),
        await bootWithoutOrigin(context, after, 'a host that joins afterwards boots', false),
      ],
    };
  },
};

async function bootWithoutOrigin(context: StormContext, newcomer: LabPlace, what: string, isThereBefore: boolean) {
  context.say(`origin stopped, ${what}`);
  const fleet = await startGrowingFleet(context, hostsOf(context, memberCount), [newcomer]);
  let outcome: string;
  let isGood = false;
  try {
    await Promise.all(fleet.servers.map((server) => bootByTrace(server, context.trace, context.expected, { keepGaps: false })));
    if (isThereBefore) await fleet.join(newcomer);
    await context.origin.close();
    const server = isThereBefore ? fleet.servers.at(-1) : await fleet.join(newcomer);
    if (server === undefined) throw new Error('no server');
    const guest = await bootByTrace(server, context.trace, context.expected, { keepGaps: false });
    context.keep('origin-stopped', { what, guest });
    isGood = guest.errors.length + guest.wrongReads === 0;
    outcome = `${guest.errors.length} errors, ${guest.wrongReads} wrong reads of ${guest.readCount}, ${guest.seconds.toFixed(2)} s`;
  } catch (error) {
    outcome = errorMessage(error).trim().split('\n').at(-1)?.slice(0, 300) ?? '';
  } finally {
    await fleet.close();
    await context.origin.resume();
  }
  return { work: `origin stopped, cluster holds the boot: ${what}`, measured: outcome, wanted: 'no error', met: isGood };
}
