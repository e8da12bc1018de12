/**
 * Composes this node's disks: the registry through which clients attach, the service for other
 * nodes, and the parts that only a cluster has.
 *
 * Images are not needed here, because a disk opens its base by content. `control/control.ts`
 * composes the operations on disks.
 */
import { systemClock } from '../base/clock.js';
import type { EtcdClient } from '../base/etcd/client.js';
import type { Lifecycle } from '../base/lifecycle.js';
import type { Logger } from '../base/log.js';
import { native } from '../base/native/loader.js';
import type { Room } from '../base/room.js';
import type { Catalog } from '../catalog/catalog.js';
import { DiskOrigins } from '../catalog/disk-origin.js';
import { contentId, contentsUnder, type ImageRecord } from '../catalog/image-record.js';
import type { StateDirectory } from '../catalog/state-directory.js';
import type { OwnedDisk } from '../cluster/node.js';
import { DiskFolder } from '../disk/folder/folder.js';
import { DiskLosses } from '../disk/folder/loss.js';
import { EtcdDiskIndex } from '../disk/knowledge/etcd-index.js';
import { type KnownDisk, KnownDisks } from '../disk/knowledge/known-disks.js';
import { LeaseKeeper } from '../disk/lease/lease-keeper.js';
import { DiskWatch } from '../disk/operate/watch.js';
import type { DiskExport } from '../disk/owner/disk-export.js';
import { DiskRegistry } from '../disk/owner/registry.js';
import type { DiskRecord } from '../disk/protocol/record.js';
import type { RemoteNodes } from '../disk/protocol/remote-nodes.js';
import { DiskService } from '../disk/service/service.js';
import { DiskNotes } from '../disk/session/notes.js';
import { BaseKeeper } from '../image/base-keeper.js';
import { BaseOrigins } from '../image/base-origin.js';
import type { ContentPool } from '../image/content-pool.js';
import { openDiskImage } from '../image/disk-image.js';
import { usersOf } from '../image/image-user.js';
import { ClusterDiskPeers, type DiskCluster } from '../peer/client/disk-nodes.js';
import { isClientAlive } from '../server/client-identity.js';
import type { Cluster } from './cluster/cluster.js';
import { ClusterLeaseMembers } from './cluster/lease-members.js';
import { LeasedDisks } from './cluster/leased-disks.js';

export interface DisksOptions {
  state: StateDirectory;
  pool: ContentPool;
  cluster: Cluster | undefined;
  /** Present in a cluster whose nodes agree by etcd. */
  etcd: { client: EtcdClient; prefix: string } | undefined;
  catalog: Catalog;
  /** Origins that disks may use though only other nodes named them. */
  allowOrigins: readonly string[];
  selfId: string;
  /** Deadline of a guest's request unless the disk has another, in ms; 0 means none. */
  defaultDeadlineMs: number;
  /** Makes room on the file system of the disks; absent if the cache lies on another one. */
  room: Room | undefined;
  lifecycle: Lifecycle;
  log: Logger;
}

/** Parts that only a cluster has. */
interface ClusterParts {
  watch: DiskWatch;
  keeper: BaseKeeper;
}

export class Disks {
  readonly registry: DiskRegistry;
  /** Answers other nodes. */
  readonly service: DiskService;
  /** Contents whose origins this node may open for disks. */
  readonly origins: DiskOrigins;
  /** Names of disks that all nodes agree on; absent without etcd. */
  readonly index: EtcdDiskIndex | undefined;
  readonly #selfId: string;
  readonly #clusterParts: ClusterParts | undefined;

  /** @throws CopseError `ERR_STATE` */
  constructor(options: DisksOptions) {
    const { state, pool, cluster, etcd, selfId, defaultDeadlineMs, room, lifecycle, log } = options;
    this.#selfId = selfId;
    const known = new KnownDisks(state.disksKnownPath, log);
    const notes = new DiskNotes({ path: state.diskNotesPath, isAlive: isClientAlive });
    const origins = new DiskOrigins({
      path: state.diskOriginsPath,
      images: () => options.catalog.list(),
      log,
      present: () => DiskFolder.list(state.diskDir, log).flatMap(({ record }) => record.image?.content ?? []),
    });
    this.origins = origins;
    const baseOrigins = new BaseOrigins(origins, options.allowOrigins);
    const leased = new LeasedDisks();
    const peers = cluster === undefined ? undefined : lifecycle.own(new ClusterDiskPeers(diskCluster(cluster)));
    const leases =
      cluster === undefined || peers === undefined
        ? undefined
        : lifecycle.own(
            new LeaseKeeper({
              createWord: () => native.openLease(),
              members: new ClusterLeaseMembers(cluster, peers, etcd === undefined ? undefined : (uuids) => leased.askIndex(uuids)),
              owned: () => leased.owned(),
              clock: systemClock,
              log,
            }),
          );
    const registry = lifecycle.own(
      new DiskRegistry({
        diskDir: state.diskDir,
        notes,
        room,
        losses: new DiskLosses(state.diskLossesPath, log),
        known,
        peers,
        leases,
        openBase: (record) => openDiskImage(pool, baseOrigins, record),
        defaultDeadlineMs,
        clock: systemClock,
        log,
      }),
    );
    this.registry = registry;
    this.service = new DiskService(registry);
    if (etcd !== undefined && peers !== undefined) {
      const owned = () => this.#ownedAs(peers.self);
      const hasFiles = (uuid: string) => registry.hasFiles(uuid);
      this.index = lifecycle.own(new EtcdDiskIndex({ ...etcd, selfId, known, owned, hasFiles, clock: systemClock, log }));
    }
    if (cluster !== undefined && peers !== undefined) {
      const keeper = lifecycle.own(new BaseKeeper({ registry, pool, origins, clock: systemClock, log }));
      const members = () => cluster.liveCluster.members();
      const watch = lifecycle.own(new DiskWatch({ registry, known, peers, members, clock: systemClock, log }));
      leased.attach({ registry, watch, index: this.index });
      this.#clusterParts = { keeper, watch };
    }
  }

  /** Ids of the contents below this node's disks. */
  get contentIds(): string[] {
    return this.registry.exports.flatMap(({ record }) =>
      record.image === undefined ? [] : contentsUnder(record.image.content).map(contentId),
    );
  }

  /** Disks that this node owns. */
  get owned(): DiskExport[] {
    return this.registry.exports.filter(({ isOwner }) => isOwner);
  }

  /** Owned disks as the node's statement tells of them. */
  statements(): OwnedDisk[] {
    return this.owned.flatMap(({ record, hosted }) =>
      hosted === undefined ? [] : [{ uuid: record.uuid, epoch: hosted.state.epoch, sizeBytes: record.sizeBytes, renames: record.renames }],
    );
  }

  /** Names of disks that clients of this node are attached to. */
  attached(): string[] {
    return this.registry.exports.flatMap(({ record, attachment }) => (attachment.count > 0 ? [record.name] : []));
  }

  /** Disks that this node has or knows of, each with its owner. */
  get all(): { record: DiskRecord; owner: string }[] {
    const { exports, options } = this.registry;
    const elsewhere = options.known.list().map(({ record, owner }) => ({ record, owner: owner.id }));
    const here = exports.filter(({ isOwner }) => isOwner).map(({ record }) => ({ record, owner: this.#selfId }));
    return [...new Map([...elsewhere, ...here].map((disk) => [disk.record.uuid, disk])).values()];
  }

  /** Names of disks that are built on an image, here or on other nodes. */
  usersOf(imageName: string, images: readonly ImageRecord[]): string[] {
    const { exports, options } = this.registry;
    const records = [...exports.map(({ record }) => record), ...options.known.list().map(({ record }) => record)];
    return usersOf(imageName, images, records);
  }

  /**
   * Looks which disks other nodes own, before clients are served. Another node may have taken a
   * disk by force while this node was away.
   */
  async follow(): Promise<void> {
    await this.index?.start();
    await this.#clusterParts?.watch.start();
    this.#clusterParts?.keeper.start();
  }

  #ownedAs(self: RemoteNodes['self']): KnownDisk[] {
    return this.owned.flatMap(({ record, hosted }) =>
      hosted === undefined
        ? []
        : [{ record, owner: self, epoch: hosted.state.epoch, dataBytes: hosted.overlay.dataBytes, forced: hosted.state.forced }],
    );
  }
}

function diskCluster(cluster: Cluster): DiskCluster {
  return {
    get self() {
      return cluster.self.record;
    },
    members: () => cluster.liveCluster.members(),
    announce: () => cluster.self.tell(),
  };
}
