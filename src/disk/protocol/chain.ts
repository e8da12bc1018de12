/**
 * The chain of grants of a disk: whether a node owns it, or owned it, under the epoch that it
 * claims.
 *
 * A node believes an epoch that it traces itself: from the last grant that it knows, from node to
 * node (`disk.trace`), each of which answers with its own latest grant. Epochs grow along a chain,
 * and a jump of any size is right when the chain reaches it. A force takes the place of a missing
 * grant: its record is in the taker's `owner.json`, in etcd, and in the notes of the members that
 * heard of it. It goes with the disk to each later owner.
 *
 * Invariant: nothing here changes anything. `unknown` means that a node did not answer: the caller
 * of this node asks again.
 */
import { CopseError } from '../../base/error.js';
import type { AnswerOf } from './call.js';
import type { Force, NodeRef } from './record.js';

/** A node's own latest word on a disk. */
export type Trace = AnswerOf<'disk.trace'>;

export interface Claim {
  uuid: string;
  node: NodeRef;
  /** Under which the node owns the disk, or owned it last. */
  epoch: number;
}

export type Proof = 'proven' | 'disproven' | 'unknown';

export interface ChainOptions {
  selfId: string;
  /** This node's own word. */
  own: Trace;
  /** The owner that was told of last, where this node has no grant to begin with. */
  told?: { owner: NodeRef; epoch: number } | undefined;
  /** Records of force that this node has: its notes, etcd. */
  forces: readonly (Force | undefined)[];
  /** Members that answer, but this node. */
  members: readonly NodeRef[];
  /** Asks a node for its word. Rejects when it does not answer. */
  ask(node: NodeRef): Promise<Trace>;
}

/**
 * More than any chain has: each node answers with its latest grant, and the disk may move
 * meanwhile.
 */
const maxHops = 128;

/** Judges the claim. Each node is asked once at most. */
export async function prove(claim: Claim, options: ChainOptions): Promise<Proof> {
  const asked = new Map<string, Promise<Trace | undefined>>();
  const ask = (node: NodeRef): Promise<Trace | undefined> => {
    const known = asked.get(node.id);
    if (known !== undefined) return known;
    const answer = options.ask(node).catch(() => undefined);
    asked.set(node.id, answer);
    return answer;
  };
  const byGrant = await followGrants(claim, options, ask);
  if (byGrant === 'proven') return byGrant;
  return (await followForces(claim, options, ask)) ? 'proven' : byGrant;
}

type Ask = (node: NodeRef) => Promise<Trace | undefined>;

async function followGrants(claim: Claim, { own, told, selfId }: ChainOptions, ask: Ask): Promise<Proof> {
  if (own.state === 'granted' && own.to !== undefined) return walk(own.to, own.epoch + 1, claim, selfId, ask);
  const answer = await ask(claim.node);
  if (answer === undefined) return 'unknown';
  if (answer.epoch < claim.epoch) return 'disproven';
  // This node's own log may have been put back from a copy: then the claimant has the grant from
  // here.
  if (own.state === 'owner') return answer.by?.id === selfId && answer.by.epoch >= own.epoch ? 'proven' : 'disproven';
  if (told === undefined || told.owner.id === claim.node.id || told.owner.id === selfId) return 'proven';
  // A hint, where this node has nothing at stake: it counts against the claim alone.
  return (await walk(told.owner, told.epoch, claim, selfId, ask)) === 'disproven' ? 'disproven' : 'proven';
}

/** @param least the epoch from which on the first node owned the disk */
async function walk(start: NodeRef, least: number, claim: Claim, selfId: string, ask: Ask): Promise<Proof> {
  let node = start;
  let minEpoch = least;
  for (let hop = 0; hop < maxHops; hop += 1) {
    if (node.id === selfId) return 'unknown';
    const answer = await ask(node);
    // Not accepted yet, or forgotten: nobody can tell where the disk went.
    if (answer === undefined || answer.epoch < minEpoch) return 'unknown';
    if (node.id === claim.node.id && answer.epoch >= claim.epoch) return 'proven';
    if (answer.state === 'owner') return 'disproven';
    if (answer.state === 'none' || answer.to === undefined) return 'unknown';
    node = answer.to;
    minEpoch = answer.epoch + 1;
  }
  return 'unknown';
}

async function followForces(claim: Claim, options: ChainOptions, ask: Ask): Promise<boolean> {
  const { own, forces, members, selfId } = options;
  const claimant = await ask(claim.node);
  const told = claimant === undefined ? await Promise.all(members.map(ask)) : [claimant];
  const found = [...forces, ...told.map((answer) => answer?.forced)]
    .flatMap((force) => (force !== undefined && force.to > own.epoch && force.to <= claim.epoch ? [force] : []))
    .sort((left, right) => right.to - left.to);
  for (const force of found) {
    if (force.node.id === selfId) continue;
    const walked = await walk(force.node, force.to, claim, selfId, ask);
    if (walked === 'proven' || (walked === 'unknown' && isDeposed(claim, own, force, claimant))) return true;
  }
  return false;
}

/**
 * True if the record of the force is enough, though its taker, or a node after it, does not answer:
 * the taker may be gone for good. To fence this node any record of it is enough, unless the
 * claimant answers and has none. To remove anything here, it has to be the claimant's own.
 */
function isDeposed(claim: Claim, own: Trace, force: Force, claimant: Trace | undefined): boolean {
  const isTaker = force.node.id === claim.node.id;
  if (claimant === undefined) return own.state === 'owner' || (isTaker && force.to === claim.epoch);
  if (isTaker) return claimant.epoch >= claim.epoch;
  return own.state === 'owner' && claimant.state !== 'none' && claimant.epoch >= claim.epoch && claimant.forced?.to === force.to;
}

/** @throws CopseError `ERR_PEER_LIED` */
export function checkUuid(asked: string, told: string): void {
  if (asked === told) return;
  throw new CopseError('ERR_PEER_LIED', `a node was asked about disk ${asked} and answered about disk ${told}`);
}
