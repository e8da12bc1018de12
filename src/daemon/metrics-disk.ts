/** The counters of disks, as metrics. */
import type { Registry } from 'prom-client';
import type { DiskExport } from '../disk/disk-export.js';
import { gauge } from './metrics.js';

export function addDisks(registry: Registry, disks: readonly DiskExport[]): void {
  const owned = gauge(registry, 'copse_disk_owned', 'Whether this node owns the disk', ['disk']);
  const epoch = gauge(registry, 'copse_disk_epoch', 'Changes of owner so far, of disks that this node owns', ['disk']);
  const data = gauge(registry, 'copse_disk_data_bytes', 'Bytes of blocks that were written, on this node', ['disk']);
  const remote = gauge(registry, 'copse_disk_remote_bytes', 'Bytes of blocks that are still on other nodes', ['disk']);
  const changed = gauge(registry, 'copse_disk_changed_bytes', 'Bytes that a copy made ahead is behind', ['disk']);
  const lost = gauge(registry, 'copse_disk_data_lost', 'Whether a failed sync lost data of the disk, and no flush succeeds', ['disk']);
  const files = gauge(registry, 'copse_disk_files', '1 for the state that the files of the disk are in', ['disk', 'state']);
  for (const { record, hosted, isOwner } of disks) {
    const disk = record.name;
    owned.set({ disk }, isOwner ? 1 : 0);
    if (hosted === undefined) continue;
    const { overlay, state } = hosted;
    if (isOwner) epoch.set({ disk }, state.epoch);
    data.set({ disk }, overlay.dataBytes);
    remote.set({ disk }, overlay.remoteBytes);
    changed.set({ disk }, overlay.changedBytes);
    lost.set({ disk }, hosted.loss === undefined ? 0 : 1);
    const found = hosted.isClosed ? undefined : hosted.footing.state;
    for (const state of ['firm', 'unlinked', 'read-only'] as const) files.set({ disk, state }, found === state ? 1 : 0);
  }
}
