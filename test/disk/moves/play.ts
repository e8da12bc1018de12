/** Clients that come and go at three nodes, and an operator who takes the disk here and there, until it has moved so many times. */
import { errorCode } from '../../../src/base/error.js';
import { BlockModel } from './block-model.js';
import { Client } from './client.js';
import type { MovesNode } from './node.js';
import { Random } from './random.js';
import { RealWork } from './real-work.js';
import { blockCount, diskName, World } from './world.js';

const ids = ['A', 'B', 'C'] as const;
/** Moments at which clients like to come. */
const messages = [
  'disk.handover',
  'disk.handover answer',
  'map',
  'map answer',
  'disk.accepted',
  'disk.accepted answer',
  'disk.release',
  'disk.release answer',
  'disk.describe',
  'disk.resolve',
  'disk.invite',
  'blocks',
  'view close',
];
const maxPauseMs = 1500;
const maxRequests = 5;
/** In which everything must end, and the disk be where it is wanted. */
const endMs = 120_000;

export interface Result {
  wrong: string[];
  moveCount: number;
  requestCount: number;
  virtualMs: number;
  trace: string;
  recent: string[];
}

/** @param moves so often it moves, at least */
export async function play(seed: number, moves: number): Promise<Result> {
  const random = new Random(seed);
  const world = new World(random, new RealWork(random.fork()));
  const model = new BlockModel(blockCount);
  // Timers of a virtual clock keep no process alive.
  const held = setInterval(() => {}, 1000);
  let requestCount = 0;
  try {
    await world.start(ids);
    const isOver = (): boolean => world.moveCount >= moves || world.wrong.length > 0;
    const actors = ids.map(async (id) => {
      // Each has choices of its own, so that one that is late does not change those of the others.
      const random = world.random.fork();
      while (!isOver()) requestCount += await visit(world, model, world.node(id), random);
    });
    const operators = [operate(world, isOver), change(world, isOver)];
    while (!isOver()) {
      const before = world.moveCount;
      const isOn = (): boolean => isOver() || world.moveCount > before;
      await world.time.until('a move', isOn, endMs).catch((error: unknown) => world.fault(String(error)));
    }
    await world.time.during('the clients leave', Promise.all([...actors, ...operators]), endMs);
    if (world.wrong.length === 0) await compare(world, model);
  } finally {
    clearInterval(held);
    await world.close();
  }
  const { wrong, moveCount, recent, time } = world;
  return { wrong, moveCount, requestCount, virtualMs: time.nowMs(), trace: world.trace.digest('hex').slice(0, 16), recent };
}

let clientCount = 0;

/** One client, from its coming to its leaving. @returns how many of its requests were answered */
async function visit(world: World, model: BlockModel, node: MovesNode, random: Random): Promise<number> {
  await moment(world, random, maxPauseMs);
  await world.lookForVanished();
  clientCount += 1;
  const client = await Client.attach(world, model, node, `unix:${clientCount}:1`);
  if (client === undefined) return 0;
  const requests = random.below(maxRequests + 1);
  for (let count = 0; count < requests; count += 1) {
    if (!(await request(client, random))) break;
    if (random.isOneIn(3)) await moment(world, random, 400);
  }
  client.leave();
  return client.doneCount;
}

async function request(client: Client, random: Random): Promise<boolean> {
  const first = random.below(blockCount);
  const count = 1 + random.below(blockCount - first);
  switch (random.below(6)) {
    case 0:
      return (await client.write(0, blockCount)) && client.flush();
    case 1:
    case 2:
      return client.write(first, 1);
    case 3:
      return client.flush();
    case 4:
      return client.read(0, blockCount);
    default:
      return client.read(first, count);
  }
}

/** A pause, or until a message of some kind has arrived. */
async function moment(world: World, random: Random, maxMs: number): Promise<void> {
  if (random.isOneIn(2)) await world.arrival(random.pick(messages), maxMs);
  else await world.time.pause(random.below(maxMs));
}

/** Takes the disk here and there, as `copse disk take` does. */
async function operate(world: World, isOver: () => boolean): Promise<void> {
  const random = world.random.fork();
  while (!isOver()) {
    await moment(world, random, 4 * maxPauseMs);
    const { id, registry } = random.pick(world.nodes);
    try {
      const disk = await registry.require(diskName);
      await disk.takeOver('take');
      disk.attachment.liftFences();
    } catch (error) {
      // Another node may be at it just now: the operator is told so.
      const code = errorCode(error) ?? String(error);
      if (!['ERR_NOT_OWNER', 'ERR_OWNER_UNREACHABLE'].includes(code)) world.fault(`take at ${id} failed with ${code}`);
    }
  }
}

/** Changes the links now and then. */
async function change(world: World, isOver: () => boolean): Promise<void> {
  const random = world.random.fork();
  while (!isOver()) {
    world.links.setAll(ids, random);
    await world.time.pause(10_000);
  }
}

/** When all is quiet there is one owner, and each node reads the same bytes: before a restart and after it. */
async function compare(world: World, model: BlockModel): Promise<void> {
  for (const when of ['at the end', 'after a restart']) {
    await world.time.until('one owner', () => world.owners().length === 1, endMs);
    for (const node of world.nodes) {
      const client = await world.time.during('a client attaches', Client.attach(world, model, node, `unix:${when}:${node.id}`), endMs);
      if (client === undefined) return;
      await world.time.during(`reading ${when}`, client.read(0, blockCount), endMs);
      client.leave();
    }
    if (when === 'at the end') await world.restart();
  }
}
