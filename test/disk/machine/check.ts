/** What must hold in each world, and at the end of a run without further faults. */
import { type Action, actionsOf } from './action.js';
import { readable, type Turn } from './hands.js';
import { type Id, ids, isOwner, mayAcknowledge, type Node, type World } from './world.js';

/** @returns what does not hold, in words; `undefined`: all does */
export function violationOf(world: World): string | undefined {
  const { nodes, kept, hasForced } = world;
  const active = ids.filter((id) => mayAcknowledge(nodes[id]) || nodes[id].lanes > 0);
  if (!hasForced && active.length > 1 && active.some((id) => mayAcknowledge(nodes[id])))
    return `(a) nodes ${active.join(' and ')} answer as owners`;
  for (const id of ids) {
    const node = nodes[id];
    const ownEpoch = node.file?.state === 'owner' ? node.file.epoch : 0;
    if (node.heardEpoch > ownEpoch && mayAcknowledge(node))
      return `(b) node ${id} acknowledges under epoch ${ownEpoch}, and has heard of ${node.heardEpoch}`;
    const unanswered = unansweredOf(node);
    if (unanswered !== undefined) return `(g) node ${id} ends work without an answer: ${unanswered}`;
    const moving = movingOf(node);
    if (moving !== undefined) return `(h) node ${id} ${moving}`;
    const claims = Object.entries(node.driver.volatile.works).filter(
      ([, { kind, phase, isTrusted }]) => kind === 'claim' && phase === 'heard' && isTrusted,
    );
    if (node.isUp && isOwner(node) && claims.some(([key]) => !node.gate.includes(key)))
      return `(b) node ${id} acknowledges while it judges a claim`;
    // A handover that is not settled may be about to be undone.
    const openEpoch = node.file?.to?.accepted === false ? node.file.epoch + 1 : -1;
    const isRefused = (epoch: number): boolean => epoch > 0 && ids.some((other) => nodes[other].refusedEpoch === epoch);
    const isOut = (epoch: number): boolean => node.fences.includes(epoch) || node.fences.includes(0);
    if (!node.gave.every((epoch) => epoch === openEpoch || isOut(epoch) || isRefused(epoch)))
      return `(f) a client of node ${id} that was displaced by a handover is not fenced`;
  }
  const owner = latestOwner(world);
  if (owner !== undefined) {
    const { isUp, block, synced } = nodes[owner];
    const found = readable(world, owner, isUp ? block : synced);
    if (found < kept) return `(c) node ${owner} reads version ${found}, and ${kept} was flushed`;
  }
  if (
    kept > 0 &&
    !ids.some((id) => nodes[id].file !== undefined && (nodes[id].synced.byte & 0b11) === 1 && nodes[id].synced.version >= kept)
  )
    return `(d) no node has version ${kept} any more`;
  return undefined;
}

/** Request of the node whose work is over, and that was neither answered nor refused. */
function unansweredOf({ waiting, driver }: Node): string | undefined {
  if (waiting.length === 0) return undefined;
  const { works, queue } = driver.volatile;
  const known = new Set([...Object.values(works), ...queue].map(({ kind, id }) => `${kind} ${id}`));
  return waiting.find((name) => !known.has(name));
}

/** The reason why files that are copied or replaced do not stand still; `undefined`: they do. */
function movingOf(node: Node): string | undefined {
  const { driver, block, synced, lanes, isOpen, isCompleting } = node;
  const [effect] = driver.runs['job']?.effects ?? [];
  if (effect?.kind !== 'work') return undefined;
  if (mayAcknowledge(node)) return 'acknowledges writes while its files are copied or replaced';
  if (block.version !== synced.version || block.byte !== synced.byte) return 'copies or replaces files that are not flushed';
  if (driver.volatile.works['job']?.kind !== 'replace') return undefined;
  if (isOpen || lanes > 0) return 'has files open that are replaced';
  return isCompleting ? 'brings blocks into files that are replaced' : undefined;
}

/** The owner under the highest epoch; `undefined` while the disk is between two nodes. A deposed owner is none. */
function latestOwner({ nodes }: World): Id | undefined {
  const [latest] = [...ids].sort((left, right) => (nodes[right].file?.epoch ?? 0) - (nodes[left].file?.epoch ?? 0));
  return latest !== undefined && nodes[latest].file?.state === 'owner' ? latest : undefined;
}

/** Checks the world in which nothing is left to happen. */
export function endViolationOf(world: World): string | undefined {
  const { nodes, hasForced, setting } = world;
  const owners = ids.filter((id) => isOwner(nodes[id]) && mayAcknowledge(nodes[id]) && nodes[id].lanes === 2);
  const [owner] = owners;
  if (owner === undefined || owners.length > 1) return `(e) the run ends with ${owners.length} owners: ${owners.join(' and ')}`;
  for (const id of ids) {
    const { file, table, fences, gave, lanes, isOpen, gate, waiting } = nodes[id];
    if (gate.length > 0) return `(e) the gate of node ${id} never opens`;
    if (waiting.length > 0) return `(e) node ${id} never answers: ${waiting.join(', ')}`;
    if (id === owner && Object.keys(table).length > 0) return `(e) node ${id} never has all of the disk`;
    if (id !== owner && isOpen && file?.to?.accepted === false) return `(e) node ${id} never learns how its handover ended`;
    // After a force the files of other nodes wait for their operator.
    const isKept = (setting.hasSnapshots === true && file?.to?.free === true) || file?.state === 'incoming';
    if (id !== owner && isOpen && file !== undefined && !hasForced && !isKept) return `(e) node ${id} never lets go of the disk`;
    if (id !== owner && lanes > 0) return `(e) native lanes of node ${id} never stop`;
    // A deposed owner's clients stay out, whichever line has made it let go.
    const isOut = (epoch: number): boolean => gave.includes(epoch) || (epoch === 0 && file?.to?.free === true);
    if (!fences.every(isOut)) return `(e) a client of node ${id} stays fenced after a handover that was undone`;
  }
  return undefined;
}

/** Maximum number of steps of a calm run; more than any run takes. */
const maxSteps = 400;

/** Plays the world without further faults, and checks how that ends. */
export async function calmViolationOf(first: World, turn: Turn): Promise<string | undefined> {
  const tries = new Map<string, number>();
  let world = first;
  for (let count = 0; count < maxSteps; count += 1) {
    // An action that is tried again comes after all that were tried less often.
    const turnOf = ({ label, calm = 0 }: Action): number => calm + 10 * (tries.get(label) ?? 0);
    const [next] = actionsOf(world, {})
      .filter(({ calm }) => calm !== undefined)
      .sort((left, right) => turnOf(left) - turnOf(right));
    if (next === undefined) return endViolationOf(world);
    if (count === maxSteps - 1) return `(e) the run does not end: ${next.label}`;
    tries.set(next.label, (tries.get(next.label) ?? 0) + 1);
    world = await next.run(turn);
    const violation = violationOf(world);
    if (violation !== undefined) return `${violation}, after ${next.label}`;
  }
  return undefined;
}
