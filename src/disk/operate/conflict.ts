/** Disks of one name, as two nodes without etcd can make them: which one keeps the name, and what is said of the others. */
import type { DiskStatus } from '../../admin/schema-disk.js';
import { type DiskRecord, olderFirst } from '../protocol/record.js';

/** By name the disk that keeps it. */
export function keepersOf(records: readonly DiskRecord[]): ReadonlyMap<string, DiskRecord> {
  const keepers = new Map<string, DiskRecord>();
  for (const record of records) {
    const keeper = keepers.get(record.name);
    if (keeper === undefined || olderFirst(record, keeper) < 0) keepers.set(record.name, record);
  }
  return keepers;
}

/** Says of a disk that does not keep its name that it is in conflict. */
export function withConflict(status: DiskStatus, keeper: DiskRecord | undefined): DiskStatus {
  if (keeper === undefined || keeper.uuid === status.uuid) return status;
  const message = `in conflict: an older disk (${keeper.uuid}) keeps this name, and no node but ${status.owner} serves this one: "copse disk rename" on node ${status.owner}`;
  return { ...status, message: status.message === undefined ? message : `${status.message}; ${message}` };
}
