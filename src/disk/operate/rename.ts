/**
 * Gives a disk another name. The caller has claimed the new one in this process, and seen that nobody has it.
 *
 * With etcd the new name is taken first and the old one given back last: what a crash leaves of either goes with the index's next look.
 */
import { CopseError } from '../../base/error.js';
import type { EtcdDiskIndex } from '../knowledge/etcd-index.js';
import type { DiskExport } from '../owner/disk-export.js';
import type { DiskRegistry } from '../owner/registry.js';

export interface RenameOptions {
  registry: DiskRegistry;
  index: EtcdDiskIndex | undefined;
  /** Throws while clients are attached. */
  refuseUsed(): void;
}

/** @throws CopseError `ERR_NO_SUCH_DISK`, `ERR_NOT_OWNER`, `ERR_DISK_IN_USE`; `ERR_DISK_EXISTS`, `ERR_ETCD_UNAVAILABLE` of the index */
export async function renameDisk(disk: DiskExport, newName: string, { registry, index, refuseUsed }: RenameOptions): Promise<void> {
  const { hosted, record } = disk;
  const renames = (record.renames ?? 0) + 1;
  const check = (): void => {
    if (disk.record.name !== record.name) {
      throw new CopseError('ERR_NO_SUCH_DISK', `disk "${record.name}" was renamed to "${disk.record.name}" meanwhile`);
    }
    refuseUsed();
  };
  check();
  const { self } = registry.options.peers ?? {};
  if (index !== undefined && self !== undefined && hosted !== undefined) {
    const { state, overlay } = hosted;
    const { epoch, forced } = state;
    await index.claim({ record: { ...record, name: newName, renames }, owner: self, epoch, dataBytes: overlay.dataBytes, forced });
  }
  try {
    await disk.frozen(async ({ folder }) => {
      check();
      folder.rename(newName, renames);
      registry.changed(record.uuid);
    });
  } finally {
    index?.made(newName);
  }
  await index?.remove(record.name, record.uuid);
  registry.changed(record.uuid);
}
