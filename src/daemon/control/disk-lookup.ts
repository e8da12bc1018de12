/**
 * Disks by name, as the control of disks needs them: what people are told of each, and what refuses
 * a change.
 *
 * Invariant: a check holds only until the caller awaits. Callers that await look again.
 */
import type { DiskStatus } from '../../admin/schema-disk.js';
import { CopseError } from '../../base/error.js';
import { formatSize } from '../../base/size.js';
import { diskStatus } from '../../disk/operate/status.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { DiskRegistry } from '../../disk/owner/registry.js';

export class DiskLookup {
  readonly registry: DiskRegistry;
  readonly #selfId: string;
  /** Node to which a copy is made ahead, by uuid of the disk. */
  readonly #copyTargets = new Map<string, string>();

  constructor(registry: DiskRegistry, selfId: string) {
    this.registry = registry;
    this.#selfId = selfId;
  }

  /** @throws CopseError `ERR_NO_SUCH_DISK` */
  any(name: string): Promise<DiskExport> {
    return this.registry.require(name);
  }

  /** @throws CopseError `ERR_NO_SUCH_DISK`, `ERR_NOT_OWNER` */
  async owned(name: string): Promise<DiskExport> {
    const disk = await this.registry.require(name);
    if (!disk.isOwner) throw this.notOwner(disk);
    return disk;
  }

  /** @throws CopseError `ERR_DISK_INCOMPLETE`, and as `owned` */
  async complete(name: string): Promise<DiskExport> {
    const disk = await this.owned(name);
    refuseIncomplete(name, disk.hosted?.overlay.remoteBytes ?? 0);
    return disk;
  }

  statusOf(disk: DiskExport): DiskStatus {
    const { known, notes, peers } = this.registry.options;
    return diskStatus(disk, { selfId: this.#selfId, known, notes, peers, migratingTo: (uuid) => this.#copyTargets.get(uuid) });
  }

  notOwner(disk: DiskExport): CopseError {
    const { owner } = this.statusOf(disk);
    const { name } = disk.record;
    return new CopseError('ERR_NOT_OWNER', `disk "${name}" is owned by node ${owner}: ask that node, or "copse disk take ${name}" first`);
  }

  /** @param change as in `resize it`. @throws CopseError `ERR_DISK_IN_USE` */
  refuseUsed(disk: DiskExport, change: string): void {
    if (!isUsed(disk)) return;
    const remote = disk.remoteNodes.length === 0 ? '' : `, at ${disk.remoteNodes.join(', ')} too`;
    throw new CopseError('ERR_DISK_IN_USE', `disk "${disk.record.name}" has clients attached${remote}: detach them, then ${change}`);
  }

  /** Notes for the status that a copy is made ahead; without a node, that none is made any more. */
  noteCopyTarget(uuid: string, nodeId: string | undefined): void {
    if (nodeId === undefined) this.#copyTargets.delete(uuid);
    else this.#copyTargets.set(uuid, nodeId);
  }
}

/** True while clients are attached, here or through another node. */
export function isUsed(disk: DiskExport): boolean {
  return disk.attachment.count > 0 || disk.remoteNodes.length > 0;
}

/** @throws CopseError `ERR_DISK_INCOMPLETE` */
export function refuseIncomplete(name: string, remoteBytes: number): void {
  if (remoteBytes === 0) return;
  throw new CopseError(
    'ERR_DISK_INCOMPLETE',
    `disk "${name}": ${formatSize(remoteBytes)} of it are still on other nodes; try again when "copse disk status" shows that all is here`,
  );
}
