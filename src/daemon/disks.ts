/** This node's disks, put together: what its clients attach to, what operators do with them, what other nodes ask of them. */
import { systemClock } from '../base/clock.js';
import type { EtcdClient } from '../base/etcd/client.js';
import type { Lifecycle } from '../base/lifecycle.js';
import type { Logger } from '../base/log.js';
import { type NativeLease, native } from '../base/native.js';
import type { Room } from '../base/room.js';
import type { Catalog } from '../catalog/catalog.js';
import { DiskOrigins } from '../catalog/disk-origin.js';
import type { ExportNames } from '../catalog/export-names.js';
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
import type { DiskPeers } from '../disk/protocol/remote-nodes.js';
import { DiskPeerService } from '../disk/service/service.js';
import { DiskNotes } from '../disk/session/notes.js';
import { BaseKeeper } from '../image/base-keeper.js';
import { BaseOrigins } from '../image/base-origin.js';
import type { ContentPool } from '../image/content-pool.js';
import { openDiskBase } from '../image/disk-base.js';
import { usersOf } from '../image/image-user.js';
import type { PromotedFiles } from '../image/promoted-files.js';
import type { ImageRegistry } from '../image/registry.js';
import type { ManifestStore } from '../manifest/store.js';
import { ClusterDiskPeers, type DiskCluster } from '../peer/client/disk-nodes.js';
import { isClientAlive } from '../server/client-identity.js';
import type { Cluster } from './cluster/cluster.js';
import { ClusterLeaseMembers } from './cluster/lease-members.js';
import { DiskCreator } from './control/disk-create.js';
import { DiskLookup } from './control/disk-lookup.js';
import { DiskPromoter } from './control/disk-promote.js';
import { DaemonDisks } from './control/disks.js';

export interface DisksOptions {
  state: StateDirectory;
  pool: ContentPool;
  images: ImageRegistry;
  names: ExportNames;
  files: PromotedFiles;
  cluster: Cluster | undefined;
  /** In a cluster whose nodes agree by etcd. */
  etcd: { client: EtcdClient; prefix: string } | undefined;
  catalog: Catalog;
  /** Origins that disks may use which only other nodes named. */
  allowOrigins: readonly string[];
  manifestStore: ManifestStore;
  selfId: string;
  defaultDeadlineMs: number;
  defaultChunkSizeBytes: number;
  /** Makes room on the file system of the state directory's disks; absent where nothing there can be given up. */
  room: Room | undefined;
  lifecycle: Lifecycle;
  log: Logger;
}

export class Disks {
  readonly registry: DiskRegistry;
  readonly control: DaemonDisks;
  /** For peers. */
  readonly service: DiskPeerService;
  readonly #selfId: string;
  readonly #watch: DiskWatch | undefined;
  readonly #keeper: BaseKeeper | undefined;
  readonly #index: EtcdDiskIndex | undefined;

  /** @throws CopseError `ERR_STATE` */
  constructor(options: DisksOptions) {
    const {
      state,
      pool,
      images,
      names,
      files,
      cluster,
      etcd,
      manifestStore,
      selfId,
      defaultDeadlineMs,
      defaultChunkSizeBytes,
      room,
      lifecycle,
      log,
    } = options;
    this.#selfId = selfId;
    const known = new KnownDisks(state.disksKnownPath, log);
    const notes = new DiskNotes({ path: state.diskNotesPath, isAlive: isClientAlive });
    const origins = new DiskOrigins({
      path: state.diskOriginsPath,
      images: () => options.catalog.list(),
      log,
      present: () => DiskFolder.list(state.diskDir, log).flatMap(({ record }) => record.image?.content ?? []),
    });
    const baseOrigins = new BaseOrigins(origins, options.allowOrigins);
    const peers = cluster === undefined ? undefined : lifecycle.own(new ClusterDiskPeers(diskCluster(cluster)));
    const leases =
      cluster === undefined || peers === undefined ? undefined : lifecycle.own(this.#keepLeases(cluster, peers, etcd !== undefined, log));
    this.registry = lifecycle.own(
      new DiskRegistry({
        diskDir: state.diskDir,
        notes,
        room,
        losses: new DiskLosses(state.diskLossesPath, log),
        known,
        peers,
        leases,
        openBase: (record) => openDiskBase(pool, baseOrigins, record),
        defaultDeadlineMs,
        clock: systemClock,
        log,
      }),
    );
    if (etcd !== undefined && peers !== undefined) {
      const owned = () => this.#owned(peers);
      const hasFiles = (uuid: string) => this.registry.hasFiles(uuid);
      this.#index = lifecycle.own(new EtcdDiskIndex({ ...etcd, selfId, known, owned, hasFiles, clock: systemClock, log }));
    }
    const lookup = new DiskLookup(this.registry, selfId);
    const imageElsewhere = cluster === undefined || etcd !== undefined ? undefined : (name: string) => cluster.imageAt(name);
    this.control = new DaemonDisks({
      lookup,
      creator: new DiskCreator({ lookup, images, names, imageElsewhere, index: this.#index, origins }),
      promoter: new DiskPromoter({ lookup, images, names, manifestStore, files, defaultChunkSizeBytes }),
      names,
      index: this.#index,
      selfId,
      log,
    });
    this.service = new DiskPeerService(this.registry);
    if (cluster !== undefined && peers !== undefined) {
      this.#keeper = lifecycle.own(new BaseKeeper({ registry: this.registry, pool, origins, clock: systemClock, log }));
      this.#watch = lifecycle.own(
        new DiskWatch({ registry: this.registry, known, peers, members: () => cluster.prober.members(), clock: systemClock, log }),
      );
    }
  }

  /** Ids of the contents that disks stand on. */
  get contentIds(): string[] {
    return this.registry.exports.flatMap(({ record }) =>
      record.image === undefined ? [] : contentsUnder(record.image.content).map(contentId),
    );
  }

  /** Disks that this node owns. */
  get ownedExports(): DiskExport[] {
    return this.registry.exports.filter(({ isOwner }) => isOwner);
  }

  owned(): OwnedDisk[] {
    return this.ownedExports.flatMap(({ record, hosted }) =>
      hosted === undefined ? [] : [{ uuid: record.uuid, epoch: hosted.state.epoch, sizeBytes: record.sizeBytes, renames: record.renames }],
    );
  }

  /** Names of those that clients of this node are attached to. */
  attached(): string[] {
    return this.registry.exports.flatMap(({ record, attachment }) => (attachment.count > 0 ? [record.name] : []));
  }

  /** Names of disks that are built on an image. */
  usersOf(imageName: string, images: readonly ImageRecord[]): string[] {
    const disks = [...this.registry.exports.map(({ record }) => record), ...this.registry.options.known.list().map(({ record }) => record)];
    return usersOf(imageName, images, disks);
  }

  /** All that this node has or knows of, with the node that owns each. */
  get all(): { record: DiskRecord; owner: string }[] {
    const { exports, options } = this.registry;
    const elsewhere = options.known.list().map(({ record, owner }) => ({ record, owner: owner.id }));
    const here = exports.filter(({ isOwner }) => isOwner).map(({ record }) => ({ record, owner: this.#selfId }));
    return [...new Map([...elsewhere, ...here].map((disk) => [disk.record.uuid, disk])).values()];
  }

  /** Looks what other nodes own before anybody is served here: a disk that was taken by force while this node was away must not be. */
  async follow(): Promise<void> {
    await this.#index?.start();
    await this.#watch?.start();
    this.#keeper?.start();
  }

  /** What the leases need is asked for when it is there: after the constructor. */
  #keepLeases(cluster: Cluster, peers: DiskPeers, hasIndex: boolean, log: Logger): LeaseKeeper<NativeLease> {
    const askIndex = async (uuids: string[]) => (await this.#index?.owners(uuids)) ?? [];
    return new LeaseKeeper({
      createWord: () => native.openLease(),
      members: new ClusterLeaseMembers(cluster, peers, hasIndex ? askIndex : undefined),
      owned: () =>
        this.ownedExports.flatMap((disk) => {
          const { record, hosted } = disk;
          if (hosted === undefined) return [];
          return [{ uuid: record.uuid, epoch: hosted.state.epoch, claimed: (epoch, owner) => this.#watch?.hear(disk, owner, epoch) }];
        }),
      clock: systemClock,
      log,
    });
  }

  #owned({ self }: DiskPeers): KnownDisk[] {
    return this.ownedExports.flatMap(({ record, hosted }) =>
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
    members: () => cluster.prober.members(),
    announce: () => cluster.self.tell(),
  };
}
