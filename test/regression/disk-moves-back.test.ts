/**
 * A disk that moved back within a second or two lost flushed data. A client attached while its node's old copy was being
 * removed: it got an export that was forgotten meanwhile, took the disk over through that, and the next client took it
 * over through another one, in the same process. The older one's completion then wrote old blocks over flushed ones;
 * or the former owner was told `refused` of a handover that went on; or nobody knew of the disk any more.
 */
import t, { type Test } from 'tap';
import { blockBytes } from '../../src/base/native/overlay.js';
import type { Export } from '../../src/server/export.js';
import type { MovesNode } from '../disk/moves/node.js';
import { Random } from '../disk/moves/random.js';
import { RealWork } from '../disk/moves/real-work.js';
import { blockCount, diskName, World } from '../disk/moves/world.js';

const work = new RealWork(new Random(1));
const ids = ['A', 'B', 'C'];
const deadlineMs = 30_000;
let clientCount = 0;

for (const delayMs of [20, 50, 150]) {
  t.test(`${delayMs} ms one way`, async (t) => {
    // Of the moment at which the old copy goes, and around it.
    for (let offsetMs = 900; offsetMs <= 2100; offsetMs += 100) await movesBack(t, delayMs, offsetMs);
  });
}

/** @param offsetMs after the flush at A, and before the client at B comes back */
async function movesBack(t: Test, delayMs: number, offsetMs: number): Promise<void> {
  const world = new World(new Random(offsetMs), work);
  // Timers of a virtual clock keep no process alive.
  const held = setInterval(() => {}, 1000);
  for (const from of ids) for (const to of ids) world.links.set(from, to, delayMs);
  try {
    await world.start(ids);
    const story = async (): Promise<void> => {
      const [nodeA, nodeB] = [world.node('A'), world.node('B')];
      await visit(nodeB, (device) => device.write(fill('x'), 0, { deadlineMs }));
      await world.time.pause(4000);
      await visit(nodeA, (device) => device.write(fill('B'), 0, { deadlineMs }));
      await world.time.pause(offsetMs);
      await visit(nodeB, (device) => device.write(fill('c').subarray(0, blockBytes), 0, { deadlineMs }));
      await visit(nodeB, (device) => device.write(fill('D'), 0, { deadlineMs }));
      for (const when of ['at once', 'after 4 s']) {
        for (const node of world.nodes) {
          await visit(node, async (device) => {
            const bytes = Buffer.alloc(blockCount * blockBytes);
            if (!device.readNow(bytes, 0, bytes.length, 0)) await device.read(bytes, 0, { deadlineMs });
            t.ok(bytes.equals(fill('D')), `${node.id} reads what was flushed last, ${when}, with ${offsetMs} ms`);
          });
        }
        await world.time.pause(4000);
      }
      await world.lookForVanished();
    };
    await world.time.during('the story', story(), 120_000);
    t.same(world.wrong, []);
    t.equal(world.owners().length, 1);
  } finally {
    clearInterval(held);
    await world.close();
  }
}

/** A client of its own, which flushes and leaves. */
async function visit(node: MovesNode, what: (device: Export['device']) => Promise<unknown>): Promise<void> {
  clientCount += 1;
  const key = `unix:${clientCount}:1`;
  const opened = await node.registry.attach(await node.registry.require(diskName), { key, text: key });
  await what(opened.device);
  await opened.device.flush({ deadlineMs });
  opened.release();
}

function fill(letter: string): Buffer {
  return Buffer.alloc(blockCount * blockBytes, letter);
}
