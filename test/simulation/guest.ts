/** Guests: they read the image's chunks in boots of their own order, compare what they get, and now and then leave before it is there. */
import { errorCode } from '../../src/base/error.js';
import { chunkBytes } from './image.js';
import type { Process } from './process.js';
import type { Host, World } from './world.js';

/** A guest's deadline, and what the simulation's own steps may add. */
const longestReadMs = 30_500;

/** Origin or node were in trouble at some moment of a read. */
function isExcused(world: World, process: Process, startMs: number): boolean {
  return world.originTroubleMs >= startMs || process.isStopped || process.stoppedAtMs >= startMs;
}

export async function readChecked(
  world: World,
  process: Process,
  offset: number,
  lengthBytes: number,
  abortAfterMs?: number,
): Promise<boolean> {
  const { schedule, inspector, trace, image } = world;
  const target = Buffer.alloc(lengthBytes, 0x55);
  const startMs = schedule.nowMs;
  const abort = new AbortController();
  const name = `guest of ${process.id} reads ${offset / chunkBytes}+${lengthBytes / chunkBytes}`;
  inspector.counts.guestReads += 1;
  const cancelAbort = abortAfterMs === undefined ? undefined : schedule.at(abortAfterMs, () => abort.abort(), process);
  let isOver = false;
  schedule.at(longestReadMs, () => {
    if (!isOver && !process.hasEnded && !process.isStopped && process.stoppedAtMs < startMs)
      inspector.violate(`${name} since ${startMs.toFixed(3)}: it hangs`);
  });
  try {
    await schedule.causes.run({ hops: [`guest@${process.id}`] }, () => process.readAsGuest(target, offset, abort.signal));
    const right = Buffer.alloc(lengthBytes);
    image.copy(right, 0, lengthBytes, offset);
    if (!target.equals(right)) inspector.violate(`${name}: wrong bytes`);
    return true;
  } catch (error) {
    const code = errorCode(error);
    if (abort.signal.aborted) {
      inspector.counts.guestAborts += 1;
      return false;
    }
    inspector.counts.guestErrors += 1;
    trace.add(`${name}: ${code}`);
    if (!isExcused(world, process, startMs)) inspector.violate(`${name} since ${startMs.toFixed(3)}: ${code}, though its origin was well`);
    return false;
  } finally {
    isOver = true;
    cancelAbort?.();
  }
}

/** One after another, until `readMs`; it comes back with its host's next process. */
export async function runGuest(world: World, host: Host): Promise<void> {
  const { chance, schedule, image, profile } = world;
  let at = chance.below(image.active.length);
  while (schedule.nowMs < profile.readMs) {
    const { process } = host;
    if (process === undefined) {
      await schedule.pause(500);
      continue;
    }
    at = chance.happens(0.8) ? (at + 1) % image.active.length : chance.below(image.active.length);
    const first = image.active[at] ?? 0;
    const run = [0, 1, 2].map((index) => image.active[at + index]).filter((chunk, index) => chunk === first + index);
    const count = 1 + chance.below(run.length);
    const part = chance.happens(0.3) ? chunkBytes / 2 : 0;
    const abortAfterMs = chance.happens(0.03) ? chance.between(0.1, 30) : undefined;
    // A process that ends takes its guests' reads with it.
    const read = readChecked(world, process, first * chunkBytes + part, count * chunkBytes - part, abortAfterMs);
    await Promise.race([read, process.ended]);
    await schedule.pause(chance.happens(0.1) ? chance.between(100, 2000) : chance.between(1, 60));
  }
}
