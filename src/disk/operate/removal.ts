/** What stands in the way of removing a disk's files from a node, and who is told of it. */
import { CopseError, errorCode } from '../../base/error.js';
import type { DiskExport } from '../owner/disk-export.js';
import type { DiskRegistry } from '../owner/registry.js';
import type { NodeRef, OwnerState } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';

const describeMs = 2000;

/** Blocks that another node may need stay. @throws CopseError `ERR_NOT_OWNER`, `ERR_OWNER_UNREACHABLE` */
export async function refuseNeeded(disk: DiskExport, registry: DiskRegistry, notOwner: () => CopseError): Promise<void> {
  const { peers } = registry.options;
  const { name, uuid } = disk.record;
  const to = disk.hosted?.state.to;
  if (peers === undefined || to?.accepted !== true) throw notOwner();
  let owner: NodeRef;
  try {
    owner = await registry.locate(uuid, name);
  } catch (error) {
    const known = await peers.call(to, 'disk.describe', { uuid }, { timeoutMs: describeMs }).then(
      () => true,
      (failure: unknown) => errorCode(failure) !== 'ERR_NO_SUCH_DISK',
    );
    // It was removed there.
    if (!known) return;
    throw error;
  }
  throw new CopseError(
    'ERR_NOT_OWNER',
    `disk "${name}" is owned by node ${owner.id}: remove it there; the copy here goes by itself once all its blocks have moved`,
  );
}

/** Tells the nodes that have blocks of a disk which is removed. */
export async function releaseHolders(peers: RemoteNodes | undefined, uuid: string, state: OwnerState): Promise<void> {
  if (peers === undefined) return;
  // Who does not answer keeps a copy that nobody needs; its operator can remove it.
  await Promise.allSettled(
    Object.values(state.nodes).map((node: NodeRef) => peers.call(node, 'disk.release', { uuid, epoch: state.epoch })),
  );
}
