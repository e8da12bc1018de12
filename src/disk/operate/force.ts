/**
 * Taking a disk whose owner is lost for good. What only that owner had is lost with it, and is said first.
 *
 * The record of the force is the proof that deposes the lost owner: it is in `owner.json` before the disk is served, in etcd with the
 * next look of the index, and in the notes of the members that answer.
 *
 * Invariant: the new epoch is greater than any that the lost owner can have given, so that it is deposed should it come back.
 */
import { CopseError } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { formatSize } from '../../base/size.js';
import { DiskFolder } from '../folder/folder.js';
import type { DiskExport } from '../owner/disk-export.js';
import type { DiskRegistry } from '../owner/registry.js';
import { type Force, mostEpoch } from '../protocol/record.js';
import { ForceNews } from './force-news.js';

export interface ForceOptions {
  registry: DiskRegistry;
  selfId: string;
  /** An operator has been told what is lost. */
  acceptLoss: boolean;
  log: Logger;
}

/** So far an epoch jumps: further than the lost owner can have handed the disk on since it was last heard of. */
const forcedEpochs = 1000;

/** @throws CopseError `ERR_DISK_LOSS` without `acceptLoss` */
export async function takeByForce(disk: DiskExport, { registry, selfId, acceptLoss, log }: ForceOptions): Promise<void> {
  const { record } = disk;
  const silent = registry.options.known.get(record.uuid)?.owner.id ?? disk.hosted?.state.to?.id;
  // Longer than an owner that is stopped, and wakes, answers for the disk without asking.
  if (acceptLoss && silent !== undefined) await registry.options.leases?.outlive(silent);
  if (silent !== undefined && registry.options.peers?.isUp(silent)) {
    throw new CopseError('ERR_NOT_OWNER', `disk "${record.name}": node ${silent} answers again: take the disk without --force`);
  }
  const { hosted } = disk;
  const told = registry.options.known.get(record.uuid);
  const owner = told?.owner.id ?? hosted?.state.to?.id ?? 'unknown';
  if (!acceptLoss) {
    const kept =
      hosted === undefined ? 'nothing of it is on this node' : `this node has ${formatSize(hosted.overlay.dataBytes)} of it from before`;
    const lost =
      told === undefined
        ? 'all that was written to it there'
        : `all that was written to it there, ${formatSize(told.dataBytes)} when it was last heard of`;
    throw new CopseError(
      'ERR_DISK_LOSS',
      `disk "${record.name}": lost with node ${owner} is ${lost}; ${kept}. Blocks that are lost read as the image has them, or zeros: expect a damaged file system. If ${owner} is lost for good and this is what you want, add --accept-loss`,
    );
  }
  const { diskDir, known, peers } = registry.options;
  const node = peers?.self ?? { id: selfId, address: '' };
  await disk.seize(async (present) => {
    // As of now: others may have been at the disk meanwhile.
    const from = Math.max(known.get(record.uuid)?.epoch ?? 0, (present?.state.epoch ?? 0) + 1);
    const epoch = from + forcedEpochs;
    if (epoch > mostEpoch)
      throw new CopseError(
        'ERR_EPOCH',
        `disk "${record.name}" is said to be at epoch ${from}, which leaves no epoch for a force: no node can take it`,
      );
    const forced: Force = { from, to: epoch, node: { id: node.id, address: node.address }, at: new Date().toISOString() };
    log.warn({ disk: record.name, owner, epoch, node: selfId }, 'taken by force: what only its owner had is lost');
    if (present === undefined) {
      return registry.openHosted(await DiskFolder.create(diskDir, record, { format: 1, state: 'owner', epoch, nodes: {}, forced }));
    }
    const { to: _to, by: _by, ...rest } = present.state;
    await registry.replicas.get(record.uuid)?.stop();
    registry.replicas.delete(record.uuid);
    await present.footing.flush();
    if (present.record.name !== record.name) present.folder.rename(record.name, record.renames);
    present.folder.setState({ ...rest, state: 'owner', epoch, forced });
    return present;
  });
  await new ForceNews(registry).tell();
}
