/**
 * Three nodes that share one disk, as plain values: files that can lose what was not synced, messages under way, and
 * what has been used up of the faults that may happen. A world is never changed: `edit` makes the next one.
 *
 * The disk is one block. Its content is a version number, so the last write is known by its number.
 */

import type { DriverState } from '../../../src/disk/owner/driver.js';
import type { Ownership } from '../../../src/disk/owner/state.js';
import type { Handover } from '../../../src/disk/protocol/call.js';
import { type Force, maxEpoch, type OwnerState } from '../../../src/disk/protocol/record.js';

export const ids = ['A', 'B', 'C'] as const;
export type Id = (typeof ids)[number];

/** The block in one node's files: the byte of its map, and the version in its data. */
export interface Block {
  readonly byte: number;
  readonly version: number;
}

export interface Node {
  readonly isUp: boolean;
  // Durable.
  readonly file: Ownership | undefined;
  readonly table: OwnerState['nodes'];
  readonly synced: Block;
  readonly heldEpoch: number;
  readonly grant: { epoch: number; to: Id } | undefined;
  readonly refusedEpoch: number;
  readonly force: Force | undefined;
  readonly told: { epoch: number; owner: Id } | undefined;
  /** Epochs of handovers whose fences stand; 0: a force. */
  readonly fences: readonly number[];
  // Volatile.
  readonly isOpen: boolean;
  readonly block: Block;
  readonly driver: DriverState;
  /** Keys of work that holds the gate closed. */
  readonly gate: readonly string[];
  /** What native lanes do: 0 nothing, 1 answer reads, 2 acknowledge writes, too. */
  readonly lanes: number;
  /** True if the lanes have yet to follow. */
  readonly areLanesDue: boolean;
  readonly isCompleting: boolean;
  readonly isSettling: boolean;
  /** True if files that could not be opened are tried again later. */
  readonly isReopening: boolean;
  readonly inherited: { block: Block; table: OwnerState['nodes'] } | undefined;
  /** True if the files were let go of. */
  readonly isLeft: boolean;
  // For the checks alone.
  /** Epochs under which this node gave the disk away for good; 0: it was deposed. */
  readonly gave: readonly number[];
  /** Work that was asked for and not answered, by kind and id. */
  readonly waiting: readonly string[];
  /** Greatest epoch that was proven to this node against its own. */
  readonly heardEpoch: number;
}

export type Method = 'handover' | 'accepted' | 'resolve' | 'release';

export interface Message {
  readonly id: string;
  readonly from: Id;
  readonly to: Id;
  readonly method: Method;
  readonly epoch: number;
  /** Work of the asking node that waits. */
  readonly key: string;
  readonly phase: 'request' | 'served' | 'reply';
  /** True if nothing waits for the answer any more. */
  readonly isLate: boolean;
  readonly answer?: { value?: unknown; error?: string } | undefined;
}

/** What is left of each. */
export interface Budget {
  readonly takes: number;
  /** Messages lost, late or doubled, and cuts of the network. */
  readonly faults: number;
  /** Failures of a node's own: files that can't be written or opened, flushes, leases, proofs. */
  readonly breaks: number;
  readonly crashes: number;
  readonly forces: number;
  readonly writes: number;
  /** Commands of operators, claims of strangers, and reads of the index in etcd. */
  readonly commands: number;
}

/** Properties of the disk and its cluster that never change. */
export interface Setting {
  /** True if only an operator's word hands the disk over. */
  readonly isExplicit?: boolean;
  /** True if node A has snapshots of the disk. */
  readonly hasSnapshots?: boolean;
  /** True if nodes B and C once lost data of the disk. */
  readonly isLossy?: boolean;
  /** True if nodes B and C are in no cluster. */
  readonly isAlone?: boolean;
  /** True if the epochs of the disk are almost used up. */
  readonly isOld?: boolean;
}

export interface World {
  readonly nodes: Readonly<Record<Id, Node>>;
  readonly messages: readonly Message[];
  readonly budget: Budget;
  /** Node that no other one reaches. */
  readonly cut: Id | undefined;
  /** Last version that was acknowledged and flushed, and not given up by a force. */
  readonly kept: number;
  readonly lastVersion: number;
  readonly hasForced: boolean;
  /** Owner that the index in etcd names, and its epoch. */
  readonly index: { readonly owner: Id; readonly epoch: number };
  readonly setting: Setting;
}

export const noBlock: Block = { byte: 0, version: 0 };
export const freshDriver: DriverState = { volatile: { works: {}, queue: [], accepting: undefined, isClosed: false }, runs: {} };

const absent: Node = {
  isUp: true,
  file: undefined,
  table: {},
  synced: noBlock,
  heldEpoch: 0,
  grant: undefined,
  refusedEpoch: 0,
  force: undefined,
  told: undefined,
  fences: [],
  isOpen: false,
  block: noBlock,
  driver: freshDriver,
  gate: [],
  lanes: 0,
  areLanesDue: false,
  isCompleting: false,
  isSettling: false,
  isReopening: false,
  inherited: undefined,
  isLeft: false,
  gave: [],
  waiting: [],
  heardEpoch: 0,
};

export interface Space {
  readonly budget: Budget;
  /** Labels of actions that have happened before the space begins; they cost nothing. */
  readonly after?: readonly string[];
  readonly setting?: Setting;
}

/** Node A owns the disk, and its guest has written and flushed once. */
export function firstWorld({ budget, setting = {} }: Space): World {
  const block = { byte: 1, version: 1 };
  const epoch = setting.isOld === true ? maxEpoch - 10 : 1;
  const other: Node = setting.isOld === true ? { ...absent, told: { epoch, owner: 'A' } } : absent;
  const owner: Node = { ...absent, file: { state: 'owner', epoch }, isOpen: true, block, synced: block, lanes: 2 };
  return {
    nodes: { A: owner, B: other, C: other },
    messages: [],
    budget,
    cut: undefined,
    kept: 1,
    lastVersion: 1,
    hasForced: false,
    index: { owner: 'A', epoch },
    setting,
  };
}

export function edit(world: World, id: Id, change: Partial<Node>): World {
  return { ...world, nodes: { ...world.nodes, [id]: { ...world.nodes[id], ...change } } };
}

export function spend(world: World, what: keyof Budget): World {
  return { ...world, budget: { ...world.budget, [what]: world.budget[what] - 1 } };
}

/** What a crash leaves of a node. */
export function crashed(world: World, id: Id): World {
  const { synced } = world.nodes[id];
  const { isUp, isOpen, driver, gate, lanes, areLanesDue, isCompleting, isSettling, isReopening, inherited, isLeft, waiting } = absent;
  const volatile = {
    isUp: !isUp,
    isOpen,
    driver,
    gate,
    lanes,
    areLanesDue,
    isCompleting,
    isSettling,
    isReopening,
    inherited,
    isLeft,
    waiting,
    block: synced,
  };
  // Its requests may arrive all the same; its answers do not.
  const messages = world.messages.flatMap((message): Message[] => {
    if (message.from === id) return message.phase === 'request' ? [{ ...message, isLate: true }] : [];
    if (message.to === id && message.phase === 'served')
      return message.isLate ? [] : [{ ...message, phase: 'reply', answer: { error: 'gone' } }];
    return [message];
  });
  return { ...edit(world, id, volatile), messages };
}

export function reaches(world: World, from: Id, to: Id): boolean {
  return world.nodes[from].isUp && world.nodes[to].isUp && (from === to || (world.cut !== from && world.cut !== to));
}

export function isOwner({ isUp, isOpen, file }: Node): boolean {
  return isUp && isOpen && file?.state === 'owner';
}

export function mayAcknowledge(node: Node): boolean {
  return (isOwner(node) && node.gate.length === 0) || node.lanes === 2;
}

export function ref(id: string): { id: string; address: string } {
  return { id, address: id };
}

/** The answer to a handover as the model has it. */
export type ModelHandover = Pick<Handover, 'epoch' | 'forced' | 'nodes'>;
