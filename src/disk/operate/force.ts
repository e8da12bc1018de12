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
import type { DiskExport } from '../owner/disk-export.js';
import type { DiskRegistry } from '../owner/registry.js';
import { ForceNews } from './force-news.js';

export interface ForceOptions {
  registry: DiskRegistry;
  selfId: string;
  /** An operator has been told what is lost. */
  acceptLoss: boolean;
  log: Logger;
}

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
  const { id, address } = registry.options.peers?.self ?? { id: selfId, address: '' };
  await disk.seize({ id, address });
  log.warn({ disk: record.name, owner, epoch: disk.hosted?.state.epoch, node: selfId }, 'taken by force: what only its owner had is lost');
  await new ForceNews(registry).tell();
}
