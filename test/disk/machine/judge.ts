/** The judgement of one node on another one's claim, by the real chain of grants. */
import { type Proof, prove, type Trace } from '../../../src/disk/protocol/chain.js';
import { type Id, ids, type Node, reaches, ref, type World } from './world.js';

export function judge(world: World, selfId: Id, claimant: Id, epoch: number): Promise<Proof> {
  const node = world.nodes[selfId];
  return prove(
    { uuid: '', node: ref(claimant), epoch },
    {
      selfId,
      own: trace(node),
      told: node.told && { owner: ref(node.told.owner), epoch: node.told.epoch },
      forces: [node.force],
      members: ids.filter((id) => id !== selfId && reaches(world, selfId, id)).map(ref),
      ask: async ({ id }) => {
        if (!reaches(world, selfId, id as Id)) throw new Error('gone');
        return trace(world.nodes[id as Id]);
      },
    },
  );
}

/** This node's own word on the disk, as `ownWord` has it. */
export function trace({ file, grant, heldEpoch, force }: Node): Trace {
  const forced = (file?.forced?.to ?? 0) >= (force?.to ?? 0) ? file?.forced : force;
  if (file !== undefined && file.state !== 'incoming') {
    const to = file.to && ref(file.to.id);
    return { state: file.state, epoch: file.epoch, to, forced, by: file.by };
  }
  if (grant !== undefined) return { state: 'granted', epoch: grant.epoch, to: ref(grant.to), forced };
  return { state: 'none', epoch: heldEpoch, forced };
}
