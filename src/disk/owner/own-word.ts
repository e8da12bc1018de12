/**
 * This node's own word on a disk, and its proof of what another node claims: `chain.ts` over this
 * node's registry and peers.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CopseError, errorCode } from '../../base/error.js';
import { readOwnerFile } from '../folder/owner-file.js';
import type { KnownDisks } from '../knowledge/known-disks.js';
import { type Claim, type Proof, prove, type Trace } from '../protocol/chain.js';
import type { Force, NodeRef, OwnerState } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { DiskNotes } from '../session/notes.js';

/** Sources of this node's word: its files, its notes, and the owners that it was told of. */
export interface WordSource {
  readonly options: { diskDir: string; notes: DiskNotes; known: KnownDisks; peers: RemoteNodes | undefined };
  get(uuid: string): { hosted?: { state: OwnerState } | undefined } | undefined;
}

const askMs = 2000;

/** Asks no other node. @throws the error of reading an owner file: then no node can tell */
export function ownWord(registry: WordSource, uuid: string): Trace {
  const { diskDir, notes } = registry.options;
  const hosted = registry.get(uuid)?.hosted;
  const ownerPath = join(diskDir, uuid, 'owner.json');
  // Files that could not be opened, or are being changed, count too.
  const state = hosted?.state ?? (existsSync(ownerPath) ? readOwnerFile(ownerPath).state : undefined);
  const forced = later(state?.forced, notes.forceOf(uuid));
  if (state !== undefined && state.state !== 'incoming') {
    const { id, address } = state.to ?? {};
    const to = id === undefined || address === undefined ? undefined : { id, address };
    return { state: state.state, epoch: state.epoch, to, forced, by: state.by };
  }
  const grant = notes.grantOf(uuid);
  if (grant !== undefined) return { state: 'granted', epoch: grant.epoch, to: grant.to, forced };
  return { state: 'none', epoch: notes.heldEpoch(uuid), forced };
}

/** Records of force that this node has of the disks, in its own files and in its notes. */
export function forcesOf(registry: WordSource, uuids: readonly string[]): Record<string, Force> {
  const { notes, known } = registry.options;
  return Object.fromEntries(
    uuids.flatMap((uuid) => {
      const force = later(later(registry.get(uuid)?.hosted?.state.forced, notes.forceOf(uuid)), known.get(uuid)?.forced);
      return force === undefined ? [] : [[uuid, force]];
    }),
  );
}

/** One node's word on a disk. Rejects when it does not answer. */
export async function askWord(peers: RemoteNodes, node: NodeRef, uuid: string): Promise<Trace> {
  try {
    return await peers.call(node, 'disk.trace', { uuid }, { timeoutMs: askMs });
  } catch (error) {
    if (errorCode(error) !== 'ERR_NO_SUCH_METHOD') throw error;
    return await describedWord(peers, node, uuid);
  }
}

/**
 * An older node describes the disks that it has files of, and has no word on others: a disk that
 * left it with all blocks, or that it is opening. It keeps no record of a force.
 */
async function describedWord(peers: RemoteNodes, node: NodeRef, uuid: string): Promise<Trace> {
  const { state, epoch, to, forced } = await peers.call(node, 'disk.describe', { uuid }, { timeoutMs: askMs });
  if (state === 'incoming') throw new CopseError('ERR_NOT_YET', `node ${node.id} does not own disk ${uuid} yet`);
  return { state, epoch, to: to === undefined ? undefined : { id: to.id, address: to.address }, forced };
}

/**
 * Judges the claim of another node, by what this node knows and by asking the nodes of the
 * chain.
 */
export async function proveClaim(registry: WordSource, claim: Claim): Promise<Proof> {
  const { peers, known, notes } = registry.options;
  if (peers === undefined) return 'unknown';
  const { uuid } = claim;
  const told = known.get(uuid);
  return prove(claim, {
    selfId: peers.self.id,
    own: ownWord(registry, uuid),
    told,
    forces: [notes.forceOf(uuid), told?.forced],
    members: peers.up().filter(({ id }) => id !== peers.self.id),
    ask: (node) => askWord(peers, node, uuid),
  });
}

/**
 * @throws CopseError `ERR_NOT_YET` when a node that has to say so does not answer, `ERR_NOT_OWNER`
 * when the claim is wrong
 */
export async function requireProof(registry: WordSource, claim: Claim, what: string): Promise<void> {
  const proof = await proveClaim(registry, claim);
  if (proof === 'proven') return;
  const claimed = `node ${claim.node.id} says that it owns disk ${claim.uuid} under epoch ${claim.epoch}`;
  if (proof === 'disproven') throw new CopseError('ERR_NOT_OWNER', `${what}: ${claimed}, and no grant led there`);
  throw new CopseError('ERR_NOT_YET', `${what}: ${claimed}, and a node that has to confirm it does not answer: ask again`);
}

function later(left: Force | undefined, right: Force | undefined): Force | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return left.to >= right.to ? left : right;
}
