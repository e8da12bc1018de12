/** The counters of disks, as metrics. */
import type { Slice } from '../../base/slice.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { MetricPage } from './page.js';
import { select } from './selection.js';

export async function addDisks(page: MetricPage, disks: readonly DiskExport[], slice: Slice): Promise<void> {
  const { shown, rest } = await select(disks, slice, rankOf);
  const owned = page.gauge('copse_disk_owned', 'Whether this node owns the disk');
  const epoch = page.gauge('copse_disk_epoch', 'Changes of owner so far, of disks that this node owns');
  const data = page.gauge('copse_disk_data_bytes', 'Bytes of blocks that were written, on this node');
  const remote = page.gauge('copse_disk_remote_bytes', 'Bytes of blocks that are still on other nodes');
  const changed = page.gauge('copse_disk_changed_bytes', 'Bytes that a copy made ahead is behind');
  const lost = page.gauge('copse_disk_data_lost', 'Whether a failed sync lost data of the disk, and no flush succeeds');
  const files = page.gauge('copse_disk_files', '1 for the state that the files of the disk are in');
  const count = page.gauge('copse_disks', 'Disks that this node owns, or whose clients it has');
  count.add({}, disks.length);
  for (const [index, { record, hosted, isOwner }] of [...shown, ...rest].entries()) {
    await slice.turn();
    const labels: Record<string, string> = index < shown.length ? { disk: record.name } : {};
    owned.add(labels, isOwner ? 1 : 0);
    if (hosted === undefined) continue;
    const { overlay, state } = hosted;
    // Epochs can't be summed.
    if (isOwner && 'disk' in labels) epoch.add(labels, state.epoch);
    data.add(labels, overlay.dataBytes);
    remote.add(labels, overlay.remoteBytes);
    changed.add(labels, overlay.changedBytes);
    lost.add(labels, hosted.loss === undefined ? 0 : 1);
    const found = hosted.isClosed ? undefined : hosted.footing.state;
    for (const state of ['firm', 'unlinked', 'read-only'] as const) files.add({ ...labels, state }, found === state ? 1 : 0);
  }
}

/** Disks that lost data go first, then those with clients, then those that move, then those of this node. */
function rankOf({ attachment, hosted, isOwner }: DiskExport): number {
  const isMoving = hosted !== undefined && hosted.overlay.remoteBytes + hosted.overlay.changedBytes > 0;
  const hasLost = hosted?.loss !== undefined;
  return 1 + (hasLost ? 8 : 0) + (attachment.count > 0 ? 4 : 0) + (isMoving ? 2 : 0) + (isOwner ? 1 : 0);
}
