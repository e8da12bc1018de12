/** What can happen to a cluster: each fault begins, and most end again, at moments that the seed draws. */
import type { Chance } from './chance.js';
import { guestStartMs } from './profile.js';
import type { Host, World } from './world.js';

/** Begins something; returns what ends it, if that is not for good. */
type Fault = (world: World, host: Host) => (() => void) | undefined;

const kill =
  (cache: 'kept' | 'lost'): Fault =>
  (world, host) => {
    world.trouble('is killed', host.id);
    world.end(host);
    return () => {
      if (host.process !== undefined) return;
      world.trouble(`is started, its cache ${cache}`, host.id);
      world.start(host, cache);
    };
  };

/** Power cut: nobody is told, and what was asked of it waits. */
const crash: Fault = (world, host) => {
  world.trouble('loses power', host.id);
  host.isSilent = true;
  world.end(host);
  return () => {
    host.isSilent = false;
    world.trouble('is back', host.id);
    if (host.process === undefined) world.start(host, 'kept');
  };
};

const stop: Fault = (world, host) => {
  const { process } = host;
  if (process === undefined) return undefined;
  world.trouble('is stopped', host.id);
  process.isStopped = true;
  world.told(process);
  return () => {
    world.trouble('goes on', host.id);
    if (!process.hasEnded) process.resume();
    world.told(process);
  };
};

const unplug: Fault = (world, host) => {
  world.trouble('is unplugged', host.id);
  host.isSilent = true;
  world.tell(host.id, world.processes);
  return () => {
    world.trouble('is plugged in', host.id);
    host.isSilent = false;
    world.tell(host.id, world.processes);
  };
};

/** Some can't reach some others; one way, or both. */
const partition =
  (bothWays: boolean): Fault =>
  (world) => {
    const { chance, hosts, network } = world;
    const share = chance.between(0.1, 0.5);
    const here = hosts.filter(() => chance.happens(share));
    const there = hosts.filter((host) => !here.includes(host));
    const ways = here.flatMap((from) => there.map((to) => [from.id, to.id] as const));
    world.trouble(`partition of ${here.length} and ${there.length}, ${bothWays ? 'both ways' : 'one way'}: ${here.map(({ id }) => id)}`);
    for (const [from, to] of ways) {
      network.cut(from, to);
      if (bothWays) network.cut(to, from);
    }
    return () => {
      world.trouble('the partition ends');
      for (const [from, to] of ways) {
        network.heal(from, to);
        network.heal(to, from);
      }
    };
  };

/** One connection's worth: two hosts lose each other, and nobody else. */
const lostWay: Fault = (world, host) => {
  const other = world.chance.pick(world.hosts);
  if (other === host) return undefined;
  world.trouble('lose each other', host.id, other.id);
  world.network.cut(host.id, other.id);
  return () => {
    world.trouble('find each other', host.id, other.id);
    world.network.heal(host.id, other.id);
  };
};

const drain: Fault = (world, host) => {
  world.trouble('drains', host.id);
  host.isDraining = true;
  host.process?.stateChanged();
  return () => {
    world.trouble('drains no more', host.id);
    host.isDraining = false;
    host.process?.stateChanged();
  };
};

const slow: Fault = (world, host) => {
  world.trouble('is slow', host.id);
  host.slowness = world.chance.pick([10, 100, 1000]);
  return () => {
    world.trouble('is fast again', host.id);
    host.slowness = 1;
  };
};

const lie: Fault = (world, host) => {
  world.trouble('begins to lie', host.id);
  host.lies = true;
  return () => {
    host.lies = false;
  };
};

const originMood: Fault = (world) => {
  const mood = world.chance.pick(['slow', 'down', 'mute'] as const);
  world.trouble(`the origin is ${mood}`);
  world.origin.mood = mood;
  return () => {
    world.trouble('the origin is well');
    world.origin.mood = 'well';
  };
};

const originCut: Fault = (world, host) => {
  world.trouble('does not reach the origin', host.id);
  world.origin.cutOff.add(host.id);
  return () => {
    world.trouble('reaches the origin', host.id);
    world.origin.cutOff.delete(host.id);
  };
};

const join: Fault = (world) => {
  const host = world.join();
  world.trouble('joins', host.id);
  return undefined;
};

/** What it holds is not what it was. */
const rot: Fault = (world, host) => {
  const held = world.image.active.filter((chunk) => host.process?.store.isHeld(chunk));
  if (held.length === 0 || host.process === undefined) return undefined;
  world.trouble('is killed, and what it holds rots', host.id);
  world.end(host);
  const chunk = world.chance.pick(held);
  if (!world.image.isZero(chunk)) host.disk.wrong.set(chunk, Buffer.from('rotten'.padEnd(world.image.chunkBytes)));
  world.start(host, 'kept');
  return undefined;
};

const faults: readonly Fault[] = [
  kill('kept'),
  kill('lost'),
  kill('kept'),
  crash,
  stop,
  stop,
  unplug,
  partition(true),
  partition(false),
  lostWay,
  lostWay,
  drain,
  slow,
  slow,
  lie,
  originMood,
  originCut,
  join,
  rot,
];
/** What makes sense where nobody pings. */
const toldFaults: readonly Fault[] = [kill('kept'), kill('lost'), crash, stop, unplug, drain, slow, lie, originMood, originCut, join];

/** Draws the run's faults, and sees to it that they have ended by `healMs`. */
export function planFaults(world: World): void {
  const { chance, profile, schedule } = world;
  const { faultCount, isProbed, healMs } = profile;
  for (let index = 0; index < faultCount; index += 1) {
    const fault = chance.pick(isProbed ? faults : toldFaults);
    const beginMs = chance.between(guestStartMs, healMs - 1000);
    const endMs = Math.min(healMs, beginMs + durationMs(chance));
    schedule.at(beginMs - schedule.nowMs, () => {
      const host = chance.pick(world.hosts);
      const end = fault(world, host);
      if (end !== undefined) schedule.at(endMs - schedule.nowMs, end);
    });
  }
}

function durationMs(chance: Chance): number {
  return chance.pick([200, 1000, 4000, 12_000]) * chance.between(0.5, 1.5);
}
