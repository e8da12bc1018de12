/**
 * Holder of the disks that this node keeps leases for.
 *
 * Leases and the registry of disks need each other: a disk opens its lease, and leases ask other
 * nodes about the registry's disks. This holder is made before both. It is empty until `attach`,
 * and until then no disk has a lease.
 */
import type { EtcdDiskIndex } from '../../disk/knowledge/etcd-index.js';
import type { LeasedDisk, OwnerClaim } from '../../disk/knowledge/owner-round.js';
import type { DiskWatch } from '../../disk/operate/watch.js';
import type { DiskRegistry } from '../../disk/owner/registry.js';

interface Sources {
  registry: DiskRegistry;
  watch: DiskWatch;
  /** Absent without etcd. */
  index: EtcdDiskIndex | undefined;
}

export class LeasedDisks {
  #sources: Sources | undefined;

  attach(sources: Sources): void {
    this.#sources = sources;
  }

  owned(): LeasedDisk[] {
    const { registry, watch } = this.#sources ?? {};
    return (registry?.exports ?? []).flatMap((disk) => {
      const { record, hosted, isOwner } = disk;
      if (!isOwner || hosted === undefined) return [];
      return [{ uuid: record.uuid, epoch: hosted.state.epoch, claimed: (epoch, owner) => watch?.hear(disk, owner, epoch) }];
    });
  }

  async askIndex(uuids: string[]): Promise<OwnerClaim[]> {
    return (await this.#sources?.index?.owners(uuids)) ?? [];
  }
}
