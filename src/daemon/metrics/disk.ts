/** Metrics of disks. */
import type { Slice } from '../../base/slice.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { MetricPage } from './page.js';
import { select } from './selection.js';

export async function addDisks(page: MetricPage, disks: readonly DiskExport[], slice: Slice): Promise<void> {
  const { shown, rest } = await select(disks, slice, rankOf);
  const owned = page.gauge('copse_disk_owned', '1 if this node owns the disk');
  const epoch = page.gauge('copse_disk_epoch', 'Epoch of a disk that this node owns: changes of owner so far');
  const data = page.gauge('copse_disk_data_bytes', 'Bytes of blocks that were written, on this node');
  const remote = page.gauge('copse_disk_remote_bytes', 'Bytes of blocks that are still on other nodes');
  const changed = page.gauge('copse_disk_changed_bytes', 'Bytes that a copy made ahead is behind');
  const lost = page.gauge('copse_disk_data_lost', '1 if a failed sync lost data of the disk, so that no flush succeeds');
  const files = page.gauge('copse_disk_files', '1 for the state of the files of the disk');
  const count = page.gauge('copse_disks', 'Disks that this node owns, or whose clients it has');
  count.add({}, disks.length);
  for (const [index, { record, hosted, isOwner }] of [...shown, ...rest].entries()) {
    await slice.turn();
    const labels: Record<string, string> = index < shown.length ? { disk: record.name } : {};
    owned.add(labels, isOwner ? 1 : 0);
    if (hosted === undefined) continue;
    const { overlay, state } = hosted;
    // The sum of epochs has no meaning.
    if (isOwner && 'disk' in labels) epoch.add(labels, state.epoch);
    data.add(labels, overlay.dataBytes);
    remote.add(labels, overlay.remoteBytes);
    changed.add(labels, overlay.changedBytes);
    lost.add(labels, hosted.loss === undefined ? 0 : 1);
    const found = hosted.isClosed ? undefined : hosted.footing.state;
    for (const state of ['firm', 'unlinked', 'read-only'] as const) files.add({ ...labels, state }, found === state ? 1 : 0);
  }
}

/**
 * Orders disks: those that lost data first, then those with clients, then those that move, then
 * those of this node.
 */
function rankOf({ attachment, hosted, isOwner }: DiskExport): number {
  const isMoving = hosted !== undefined && hosted.overlay.remoteBytes + hosted.overlay.changedBytes > 0;
  const hasLost = hosted?.loss !== undefined;
  return 1 + (hasLost ? 8 : 0) + (attachment.count > 0 ? 4 : 0) + (isMoving ? 2 : 0) + (isOwner ? 1 : 0);
}
