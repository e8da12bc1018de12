/** The latest owner of a disk that this node knows, from its own files or from other nodes. */
import type { OwnerClaim } from '../knowledge/owner-round.js';
import type { DiskRegistry } from '../owner/registry.js';

export function latestOwner(registry: DiskRegistry, uuid: string): OwnerClaim | undefined {
  const { peers, known } = registry.options;
  const claims: OwnerClaim[] = [];
  const state = registry.get(uuid)?.hosted?.state;
  if (peers !== undefined && state?.state === 'owner') claims.push({ uuid, epoch: state.epoch, owner: peers.self });
  if (state?.state === 'granted' && state.to?.accepted === true) {
    const { id, address } = state.to;
    claims.push({ uuid, epoch: state.epoch + 1, owner: { id, address } });
  }
  const told = known.get(uuid);
  if (told !== undefined) claims.push({ uuid, epoch: told.epoch, owner: told.owner });
  return claims.sort((left, right) => right.epoch - left.epoch)[0];
}
