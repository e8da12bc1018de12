/** A disk that moves between nodes whose guests write all the while, with one thing going wrong; then everybody comes back, and all must be well. */
import type { Test } from 'tap';
import { blockBytes } from '../../../src/base/native/overlay.js';
import type { Plan } from './fault.js';
import { Guest } from './guest.js';
import { blockCount, Room } from './room.js';
import { SectorModel, sectorBytes } from './sector-model.js';

const sectorsPerBlock = blockBytes / sectorBytes;

export interface Play {
  room: Room;
  model: SectorModel;
  /** At a node, each of its own; made when it is first wanted. */
  guest(nodeId: string, key?: string, deadlineMs?: number): Guest;
}

export function begin(t: Test, ...plans: Plan[]): Play {
  const room = new Room(t, plans);
  // Nothing of a handover keeps a process alive by itself: sockets do, which are scripted here.
  const held = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(held));
  const model = new SectorModel(blockCount * sectorsPerBlock);
  room.onKill = () => model.kill();
  const guests = new Map<string, Guest>();
  return {
    room,
    model,
    guest(nodeId, key = `unix:${nodeId}:1`, deadlineMs = undefined) {
      const guest = guests.get(key) ?? new Guest(room, model, nodeId, key, deadlineMs);
      guests.set(key, guest);
      return guest;
    },
  };
}

/** Begins a play on these nodes, at the first of which a guest has written. */
export async function beginWritten(t: Test, nodeIds: string[], ...plans: Plan[]): Promise<Play> {
  const play = begin(t, ...plans);
  await play.room.start(nodeIds);
  await writeAtFirst(play, nodeIds[0] ?? '');
  return play;
}

/** Everybody is back, and what was late has arrived. Somebody writes at `lastId`, whoever owns it; then all must be as it should. */
export async function settle(play: Play, lastId: string): Promise<void> {
  const { room } = play;
  // Those who are left ask, and are not answered.
  if (room.live.length < Object.keys(room.nodes).length) await room.pass(1500);
  room.cut = undefined;
  await room.restartAll();
  await room.until('a handover that was begun is finished or undone', () => isSettled(room));
  const owners = room.owners();
  if (owners.length !== 1) room.wrong.push(`owners when all are back: ${owners.join(' ')}`);
  await room.deliverLate();
  await room.until('and after what came late', () => isSettled(room));

  // Whoever is fenced stays so: this one is new.
  const guest = play.guest(lastId, `unix:${lastId}:last`, 60_000);
  const isWhole = (): boolean => room.live.length === Object.keys(room.nodes).length;
  let codes: (string | undefined)[];
  do {
    // Killed by then only.
    await room.restartAll();
    await room.until('and once more', () => isSettled(room));
    room.leap();
    codes = [await guest.readAll(), await guest.write(3, 2), await guest.flush()];
    room.leap();
    codes.push(await guest.readAll());
  } while (!isWhole());
  if (codes.some((code) => code !== undefined)) room.wrong.push(`a guest at ${lastId} in the end: ${codes.join(' ')}`);
  const isHere = (): boolean => room.live.every(({ id, disk }) => (id === lastId ? isComplete(disk) : disk?.hosted === undefined));
  do {
    await room.restartAll();
    await room.until('all of it is there, and nowhere else', () => !isWhole() || isHere());
  } while (!isWhole());
  await room.deliverLate();
  const code = await guest.readAll();
  if (code !== undefined) room.wrong.push(`a guest at ${lastId} when all is there: ${code}`);
  if (room.owners().length !== 1 || !room.owners()[0]?.startsWith(`${lastId}@`))
    room.wrong.push(`owners in the end: ${room.owners().join(' ')}`);
}

export function isSettled(room: Room): boolean {
  return room.live.every(({ disk }) => disk?.hosted?.state.to?.accepted !== false);
}

function isComplete(disk: Room['nodes'][string]['disk']): boolean {
  return disk?.isOwner === true && disk.hosted?.overlay.remoteBytes === 0 && Object.keys(disk.hosted.state.nodes).length === 0;
}

/** What A's guest has done before anything moves: flushed blocks, unflushed ones, ragged ones. */
export async function writeAtFirst({ guest }: Play, id: string): Promise<void> {
  const first = guest(id);
  await first.write(0, 4 * sectorsPerBlock);
  await first.write(5 * sectorsPerBlock + 3, 9);
  await first.flush();
  await first.write(sectorsPerBlock + 1, 2);
  await first.write(10 * sectorsPerBlock, 2 * sectorsPerBlock);
}
