/** One run from its seed: a cluster, its guests, what happens to it, then peace, and what must hold then. */
import { planFaults } from './fault.js';
import { readChecked, runGuest } from './guest.js';
import { chunkBytes } from './image.js';
import { guestStartMs, type RunOptions } from './profile.js';
import { World } from './world.js';

export interface RunResult {
  violations: string[];
  /** Of everything that happened. */
  digest: string;
  eventCount: number;
  /** Chunks of the origin that a connected holder had, by what excuses it. */
  excused: ReadonlyMap<string, number>;
  counts: World['inspector']['counts'];
  hedges: number;
  originChunks: number;
  uniqueChunks: number;
  /** How the run can be made again. */
  repeat: string;
  /** The last lines about the nodes that the first violation names. */
  story: string[];
}

export async function simulate(options: RunOptions): Promise<RunResult> {
  const world = new World(options);
  const { schedule, profile, inspector, hosts, chance, trace, origin } = world;
  planFaults(world);
  const guests: Promise<void>[] = [];
  for (const host of hosts.slice(0, profile.readerCount)) {
    for (let guest = 0; guest < profile.guestsPerReader; guest += 1) {
      const startMs = guestStartMs + chance.between(0, chance.happens(0.5) ? 50 : 5000);
      schedule.at(startMs, () => void guests.push(runGuest(world, host)));
    }
  }
  const stopWatching = watchOrigin(world);
  await schedule.runUntil(profile.endMs);
  // Everything is well for so long that all know each other again: what anybody reads now must be there, and come from whoever has it.
  stopWatching();
  await checkAgreement(world);
  const { image } = world;
  let missing = 0;
  for (const process of chance.happens(0.5) ? world.processes.slice(0, 3) : world.processes.slice(-3)) {
    for (const chunk of image.active) {
      schedule.at(
        chance.between(0, 3000),
        () => void readChecked(world, process, chunk * chunkBytes, chunkBytes).then(() => (missing -= 1)),
        process,
      );
      missing += 1;
    }
  }
  await schedule.runUntil(schedule.nowMs + 8000);
  if (missing > 0) await schedule.runUntil(schedule.nowMs + 45_000);
  checkRest(world);
  const unique = origin.sent.reduce((sum, count) => sum + Math.min(count, 1), 0);
  const { violations, excused, counts } = inspector;
  return {
    violations,
    digest: trace.digest,
    eventCount: schedule.eventCount,
    excused,
    counts,
    hedges: world.processes.reduce((sum, { clustered }) => sum + clustered.metrics.hedges, 0),
    originChunks: origin.sentChunks,
    uniqueChunks: unique,
    repeat: `npm run simulate -- --seed ${options.seed} --nodes ${options.nodeCount}${options.isCalm ? ' --calm' : ''}`,
    story: inspector.story,
  };
}

/** Remembers when the origin was last in trouble for anybody. */
function watchOrigin(world: World): () => void {
  let isOver = false;
  const look = (): void => {
    if (isOver) return;
    if (world.origin.mood !== 'well' || world.origin.cutOff.size > 0) world.originTroubleMs = world.schedule.nowMs;
    world.schedule.at(50, look);
  };
  look();
  return () => {
    isOver = true;
  };
}

/** Who comes to reach the origin, or ceases to, is known to all within some pings. */
async function checkAgreement({ hosts, image, inspector, schedule }: World): Promise<void> {
  for (let second = 0; second < 10; second += 1) {
    const views = new Map<string, string>();
    for (const { process } of hosts) {
      if (process !== undefined) views.set(JSON.stringify(process.neighbourhood.homesOf(image.id).map(({ id }) => id)), process.id);
    }
    if (views.size === 1) return;
    if (second === 9)
      inspector.violate(
        `nodes that are well don't agree who can be home: ${[...views].map(([view, id]) => `${id} sees ${view}`).join('; ')}`,
      );
    await schedule.runUntil(schedule.nowMs + 1000);
  }
}

/** Nobody waits any more, nothing is held back, and everybody's counters say the same. */
function checkRest({ processes, inspector, hosts, origin }: World): void {
  for (const { process, peerId, role, offset } of inspector.pendingRequests) {
    inspector.violate(`${process.id} still waits for ${role} of ${peerId} at ${offset / chunkBytes}`);
  }
  for (const process of processes) {
    const { metrics } = process.clustered;
    const takenBytes = process.memory.reduce((sum, budget) => sum + budget.taken, 0);
    if (takenBytes !== 0) inspector.violate(`${process.id} keeps ${takenBytes} bytes of memory for nothing`);
    if (metrics.hedges * 20 > metrics.heldRequests)
      inspector.violate(`${process.id}: ${metrics.hedges} hedges of ${metrics.heldRequests} requests`);
    const sent = inspector.sentBy.get(process) ?? 0;
    if (process.fetchCount.chunks !== sent)
      inspector.violate(`${process.id} counts ${process.fetchCount.chunks} chunks of the origin, which sent ${sent}`);
    for (const { peerId } of process.clustered.trust.setAside) {
      if (!hosts.some(({ id, hasLied }) => id === peerId && hasLied))
        inspector.violate(`${process.id} has set ${peerId} aside, which never lied`);
    }
    if (process.space.usedBytes > process.space.budgetBytes) inspector.violate(`${process.id} caches more than it may`);
  }
  let sentBy = 0;
  for (const count of inspector.sentBy.values()) sentBy += count;
  if (sentBy !== origin.sentChunks) inspector.violate('chunks of the origin are lost');
}
