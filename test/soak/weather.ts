/**
 * Bad luck, one kind at a time: a daemon that is killed, restarted or stopped for some seconds, two hosts that do not hear each other.
 * Between two of them the cluster has some seconds to itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '../migration/host.js';
import type { Fleet } from './fleet.js';
import type { Tally } from './tally.js';

type Random = (limit: number) => number;

/** Ends with fair weather, when `isOver` says so. */
export async function weather(fleet: Fleet, random: Random, tally: Tally, isOver: () => boolean): Promise<void> {
  const pick = (): Host => fleet.hosts[random(fleet.hosts.length)] ?? fail();
  const pickTwo = (): [Host, Host] => {
    const first = random(fleet.hosts.length);
    const second = (first + 1 + random(fleet.hosts.length - 1)) % fleet.hosts.length;
    return [fleet.hosts[first] ?? fail(), fleet.hosts[second] ?? fail()];
  };
  const events: [name: string, run: () => Promise<void>][] = [
    [
      'kills',
      async () => {
        const host = pick();
        await host.kill();
        await sleep(random(3000));
        await host.start();
      },
    ],
    [
      'restarts',
      async () => {
        const host = pick();
        await host.stop();
        await host.start();
      },
    ],
    [
      'stops',
      async () => {
        const host = pick();
        host.signal('SIGSTOP');
        await sleep(200 + random(8000));
        host.signal('SIGCONT');
      },
    ],
    [
      'cuts',
      async () => {
        const [from, to] = pickTwo();
        const bothWays = random(2) === 0;
        await fleet.lab.cut(from.place, to.place);
        if (bothWays) await fleet.lab.cut(to.place, from.place);
        await sleep(200 + random(10_000));
        await fleet.lab.restore(from.place, to.place);
        if (bothWays) await fleet.lab.restore(to.place, from.place);
      },
    ],
  ];
  while (!isOver()) {
    const [name, run] = events[random(events.length)] ?? fail();
    await run();
    tally.count(name);
    for (let left = 2000 + random(8000); left > 0 && !isOver(); left -= 500) await sleep(500);
  }
}

function fail(): never {
  throw new Error('there is always one');
}
