/** What can happen next in a world: every step of a node, of a guest, of the network, and every fault that is left. */
import { inheritMap } from '../../../src/disk/hosted/inherited-map.js';
import type { Proof } from '../../../src/disk/protocol/chain.js';
import { commandActions, failureActions } from './command.js';
import { lanesOf, NodeHands, type Turn } from './hands.js';
import { judge } from './judge.js';
import { messageActions } from './message.js';
import {
  crashed,
  edit,
  type Id,
  ids,
  isOwner,
  type ModelHandover,
  mayAcknowledge,
  type Node,
  reaches,
  ref,
  spend,
  type World,
} from './world.js';

export interface Action {
  readonly label: string;
  /** Order in a run without further faults; absent: only in the exploration. */
  readonly calm?: number;
  /** True if it may happen though other things are on their way. */
  readonly isAnyTime?: boolean;
  /** True if the node may crash in the middle of it, or its file may not be written. */
  readonly node?: Id;
  run(turn: Turn): World | Promise<World>;
}

/** @param last set to the hands of the latest action: who explores asks them where it could have crashed */
export function actionsOf(world: World, last: { hands?: NodeHands | undefined }): Action[] {
  const all = everyAction(world, last);
  // A second passes only when nothing is on its way but what a fault has made late.
  const isQuick = all.some(({ calm }) => calm !== undefined && calm <= 2);
  return isQuick ? all.filter(({ calm, isAnyTime }) => calm === undefined || calm <= 2 || isAnyTime === true) : all;
}

function everyAction(world: World, last: { hands?: NodeHands | undefined }): Action[] {
  const found: Action[] = [];
  const play = (from: World, id: Id, turn: Turn, work: (hands: NodeHands) => World): World => {
    const hands = new NodeHands(from, id, turn);
    last.hands = hands;
    return work(hands);
  };
  for (const id of ids) {
    const node = world.nodes[id];
    if (node.isUp) found.push(...nodeActions(world, id, node, play));
    else
      found.push({
        label: `${id} starts`,
        calm: 3,
        isAnyTime: true,
        node: id,
        run: (turn) => play(edit(world, id, { isUp: true }), id, turn, start),
      });
    if (node.isUp && world.budget.crashes > 0) found.push({ label: `${id} crashes`, run: () => spend(crashed(world, id), 'crashes') });
  }
  for (const message of world.messages) found.push(...messageActions(world, message, play));
  if (world.cut !== undefined) found.push({ label: 'the network is whole', calm: 3, run: () => ({ ...world, cut: undefined }) });
  else if (world.budget.faults > 0 && world.budget.forces > 0)
    for (const id of ids)
      if (isOwner(world.nodes[id])) found.push({ label: `${id} is cut off`, run: () => ({ ...spend(world, 'faults'), cut: id }) });
  return found;
}

export type Play = (from: World, id: Id, turn: Turn, work: (hands: NodeHands) => World) => World;

function start(hands: NodeHands): World {
  return hands.facts().hasFiles ? hands.dispatch({ kind: 'want', work: { kind: 'host', id: 'start' } }) : hands.world;
}

function nodeActions(world: World, id: Id, node: Node, play: Play): Action[] {
  const found: Action[] = [];
  const { works, queue } = node.driver.volatile;
  for (const [key, { effects }] of Object.entries(node.driver.runs)) {
    const [effect] = effects;
    if (effect?.kind === 'flush')
      found.push({
        label: `${id} has flushed`,
        calm: 1,
        node: id,
        run: (turn) => play(edit(world, id, { synced: node.isOpen ? node.block : node.synced }), id, turn, (hands) => hands.ended(key)),
      });
    if (effect?.kind === 'endCopy')
      found.push({
        label: `no copy to ${id} is under way`,
        calm: 1,
        node: id,
        run: (turn) => play(world, id, turn, (hands) => hands.ended(key)),
      });
    if (effect?.kind === 'work')
      found.push({
        label: `work with the files of ${id} ends`,
        calm: 1,
        node: id,
        run: (turn) => play(world, id, turn, (hands) => hands.ended(key)),
      });
    if (effect?.kind === 'settleLease')
      found.push({
        label: `the lease of ${id} holds`,
        calm: 1,
        node: id,
        run: (turn) => play(world, id, turn, (hands) => hands.ended(key)),
      });
    if (effect?.kind === 'inherit') {
      const giver = effect.giver.id as Id;
      const handover = works[key]?.handover as ModelHandover | undefined;
      found.push({
        label: `${id} has the map of ${giver}`,
        calm: 1,
        node: id,
        run: (turn) => inherit(world, { id, giver, key, handover }, turn, play),
      });
      if (world.budget.faults > 0)
        found.push({
          label: `${id} does not get the map`,
          node: id,
          run: (turn) => play(spend(world, 'faults'), id, turn, (hands) => hands.failed(key, 'gone')),
        });
    }
    if (effect?.kind === 'prove') {
      const claimant = effect.node.id as Id;
      const { epoch } = effect;
      const end = (proof: Proof, from: World, turn: Turn): World => play(from, id, turn, (hands) => hands.ended(key, proof));
      found.push({
        label: `${id} judges that ${claimant} has epoch ${epoch}`,
        calm: 1,
        node: id,
        run: async (turn) => end(await judge(world, id, claimant, epoch), world, turn),
      });
    }
  }
  if (node.areLanesDue)
    found.push({ label: `lanes of ${id} follow`, calm: 1, node: id, run: (turn) => lanesFollow(world, id, turn, play) });
  if (node.isSettling)
    found.push({
      label: `${id} looks how its handover ended`,
      calm: 5,
      node: id,
      run: (turn) =>
        play(edit(world, id, { isSettling: false }), id, turn, (hands) =>
          hands.dispatch({ kind: 'want', work: { kind: 'settle', id: '' } }),
        ),
    });
  if (node.isSettling && world.budget.faults > 0)
    found.push({
      label: `${id} looks early how its handover ended`,
      node: id,
      run: (turn) =>
        play(edit(spend(world, 'faults'), id, { isSettling: false }), id, turn, (hands) =>
          hands.dispatch({ kind: 'want', work: { kind: 'settle', id: '' } }),
        ),
    });
  found.push(...completionActions(world, id, node, play), ...guestActions(world, id, node, play));
  found.push(...commandActions(world, id, node, play), ...failureActions(world, id, node, play));
  for (const other of ids) {
    const { file, isOpen } = world.nodes[other];
    if (other === id || !isOpen || file?.state !== 'owner' || !reaches(world, id, other)) continue;
    const isClaim = isOwner(node) && (node.file?.epoch ?? 0) < file.epoch && works[`claim ${other}`] === undefined;
    const isNews = (world.hasForced || world.budget.forces > 0) && !isOwner(node) && (node.told?.epoch ?? 0) < file.epoch;
    if (isClaim || isNews)
      found.push({ label: `${id} hears that ${other} owns it`, calm: 3, node: id, run: (turn) => hear(world, id, other, turn, play) });
  }
  const isIdle = works['job'] === undefined && queue.length === 0;
  const lost = isIdle && world.budget.forces > 0 && !isOwner(node) ? lostOwner(world, id) : undefined;
  if (lost !== undefined)
    found.push({
      label: `take --force at ${id}, for ${lost} is lost`,
      node: id,
      run: (turn) =>
        play(spend(world, 'forces'), id, turn, (hands) =>
          hands.dispatch({ kind: 'want', work: { kind: 'seize', id: 'force', node: ref(id), at: 'now' } }),
        ),
    });
  return found;
}

function completionActions(world: World, id: Id, node: Node, play: Play): Action[] {
  // A completion looks at the map alone. It goes on until it is stopped.
  if (!node.isCompleting || !node.isOpen) return [];
  const isRemote = (node.block.byte & 0b11) === 3;
  if (isRemote) {
    const from = node.table[node.block.byte >> 3]?.id as Id | undefined;
    if (from === undefined || !reaches(world, id, from) || !world.nodes[from].isOpen) return [];
    const { version } = world.nodes[from].block;
    return [{ label: `${id} brings the block from ${from}`, calm: 4, run: () => edit(world, id, { block: { byte: 1, version } }) }];
  }
  return Object.entries(node.table).flatMap(([index, holder]): Action[] => {
    if (node.driver.volatile.works[`released ${index}`] !== undefined) return [];
    const epoch = node.file?.epoch ?? 0;
    return [
      {
        label: `${id} has all of it, and releases ${holder.id}`,
        calm: 4,
        node: id,
        run: (turn) =>
          play(world, id, turn, (hands) =>
            hands.dispatch({ kind: 'want', work: { kind: 'released', id: index, index, node: ref(holder.id), epoch } }),
          ),
      },
    ];
  });
}

function guestActions(world: World, id: Id, node: Node, play: Play): Action[] {
  const { works, queue } = node.driver.volatile;
  if (!isOwner(node)) {
    const isTaking = works['job']?.kind === 'take' || queue.some(({ kind }) => kind === 'take');
    if (isTaking || world.budget.takes === 0) return [];
    return [
      {
        label: `a guest at ${id} wants to write`,
        node: id,
        run: (turn) =>
          play(spend(world, 'takes'), id, turn, (hands) =>
            hands.dispatch({ kind: 'want', work: { kind: 'take', id: 'guest', reason: 'write' } }),
          ),
      },
    ];
  }
  if (!mayAcknowledge(node)) return [];
  const isLatest = ids.every((other) => (world.nodes[other].file?.epoch ?? 0) <= (node.file?.epoch ?? 0));
  const version = world.lastVersion + 1;
  const found: Action[] = [];
  if (world.budget.writes > 0)
    found.push({
      label: `the guest at ${id} writes version ${version}`,
      run: () => ({ ...edit(spend(world, 'writes'), id, { block: { byte: 1, version } }), lastVersion: version }),
    });
  const isUnsynced = node.block.version !== node.synced.version || node.block.byte !== node.synced.byte;
  if (isUnsynced && (node.block.byte & 0b11) === 1)
    found.push({
      label: `the guest at ${id} flushes`,
      run: () => ({ ...edit(world, id, { synced: node.block }), kept: isLatest ? node.block.version : world.kept }),
    });
  return found;
}

function hear(world: World, id: Id, other: Id, turn: Turn, play: Play): World {
  const node = world.nodes[id];
  const { epoch = 0, forced } = world.nodes[other].file ?? {};
  const force = forced?.node.id === other && forced.to > (node.force?.to ?? 0) ? forced : node.force;
  if (!isOwner(node)) return edit(world, id, { told: { epoch, owner: other }, force });
  return play(edit(world, id, { force }), id, turn, (hands) =>
    hands.dispatch({ kind: 'want', work: { kind: 'claim', id: other, node: ref(other), epoch, isTrusted: true } }),
  );
}

function inherit(
  world: World,
  { id, giver, key, handover }: { id: Id; giver: Id; key: string; handover: ModelHandover | undefined },
  turn: Turn,
  play: Play,
): World {
  const from = world.nodes[giver];
  const own = world.nodes[id];
  if (handover === undefined || !reaches(world, id, giver) || !from.isOpen)
    return play(world, id, turn, (hands) => hands.failed(key, 'gone'));
  const { states, nodes } = inheritMap({
    states: Uint8Array.of(from.block.byte),
    nodes: handover.nodes,
    giver: { ...ref(giver), epoch: handover.epoch - 1 },
    selfId: id,
    own: own.file === undefined ? undefined : { states: Uint8Array.of(own.block.byte), replicated: () => false },
  });
  const block = { byte: states[0] ?? 0, version: own.block.version };
  // What was here is flushed and closed.
  return play(edit(world, id, { isOpen: false, inherited: { block, table: nodes } }), id, turn, (hands) => hands.ended(key));
}

function lanesFollow(world: World, id: Id, turn: Turn, play: Play): World {
  const node = world.nodes[id];
  const lanes = lanesOf(node);
  const waiting = Object.entries(node.driver.runs).flatMap(
    ([
      key,
      {
        effects: [effect],
      },
    ]) => ((effect?.kind === 'refreshLanes' && effect.isAwaited === true) || effect?.kind === 'closeGate' ? [key] : []),
  );
  return play(edit(world, id, { lanes, areLanesDue: false }), id, turn, (hands) => {
    for (const key of waiting) hands.ended(key);
    return hands.world;
  });
}

/** The owner, as the node knows it, where that does not answer. */
function lostOwner(world: World, id: Id): Id | undefined {
  const { file, told } = world.nodes[id];
  const owner = (file?.state === 'granted' && file.epoch + 1 >= (told?.epoch ?? 0) ? (file.to?.id as Id) : told?.owner) ?? 'A';
  return owner !== id && !reaches(world, id, owner) ? owner : undefined;
}
