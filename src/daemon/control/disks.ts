/**
 * `DiskControl` over this node's disks and those that it knows of.
 *
 * Creation and promotion are in files of their own, the moves of disks in `disk/operate`.
 */
import type { DiskControl, PromoteOptions } from '../../admin/control-disk.js';
import type {
  DiskAcceptLossOptions,
  DiskCreateRequest,
  DiskStatus,
  DiskTakeOptions,
  DiskTakeResult,
  MigrateResult,
  PromoteResult,
} from '../../admin/schema-disk.js';
import { CopseError } from '../../base/error.js';
import { checkExportName } from '../../base/export-name.js';
import type { JobOptions, Progress } from '../../base/job.js';
import type { Logger } from '../../base/log.js';
import { Slice } from '../../base/slice.js';
import type { ExportNames } from '../../catalog/export-names.js';
import { describeLoss } from '../../disk/folder/loss.js';
import type { EtcdDiskIndex } from '../../disk/knowledge/etcd-index.js';
import { keepersOf, withConflict } from '../../disk/operate/conflict.js';
import { takeByForce } from '../../disk/operate/force.js';
import { migrate } from '../../disk/operate/migrate.js';
import { refuseNeeded, releaseHolders } from '../../disk/operate/removal.js';
import { renameDisk } from '../../disk/operate/rename.js';
import { type DiskCreator, wholeBlocks } from './disk-create.js';
import { type DiskLookup, isUsed, refuseIncomplete } from './disk-lookup.js';
import type { DiskPromoter } from './disk-promote.js';

export interface DaemonDisksOptions {
  lookup: DiskLookup;
  creator: DiskCreator;
  promoter: DiskPromoter;
  names: ExportNames;
  /** Names of disks that all nodes agree on; absent without etcd. */
  index: EtcdDiskIndex | undefined;
  selfId: string;
  log: Logger;
}

export class DaemonDisks implements DiskControl {
  readonly #options: DaemonDisksOptions;
  readonly #lookup: DiskLookup;

  constructor(options: DaemonDisksOptions) {
    this.#options = options;
    this.#lookup = options.lookup;
  }

  async create(request: DiskCreateRequest): Promise<DiskStatus> {
    return this.#lookup.statusOf(await this.#options.creator.create(request));
  }

  async list(): Promise<DiskStatus[]> {
    const { registry } = this.#lookup;
    const here = registry.exports.filter(({ hosted }) => hosted === undefined || hosted.state.state !== 'incoming');
    const uuids = new Set(here.map(({ record }) => record.uuid));
    const elsewhere = registry.options.known.list().filter(({ record }) => !uuids.has(record.uuid));
    const keepers = keepersOf([...here.map(({ record }) => record), ...elsewhere.map(({ record }) => record)]);
    const slice = new Slice();
    const statuses: DiskStatus[] = [];
    for (const disk of here) {
      await slice.turn();
      statuses.push(this.#lookup.statusOf(disk));
    }
    for (const { record } of elsewhere) {
      await slice.turn();
      const disk = registry.elsewhere(record.uuid);
      if (disk !== undefined) statuses.push(this.#lookup.statusOf(disk));
    }
    return statuses
      .map((status) => withConflict(status, keepers.get(status.name)))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async status(name: string): Promise<DiskStatus> {
    const { registry } = this.#lookup;
    const status = this.#lookup.statusOf(await registry.require(name));
    const records = [...registry.exports.map(({ record }) => record), ...registry.options.known.list().map(({ record }) => record)];
    return withConflict(status, keepersOf(records.filter((record) => record.name === status.name)).get(status.name));
  }

  async resize(name: string, sizeBytes: number): Promise<DiskStatus> {
    const disk = await this.#lookup.owned(name);
    this.#lookup.refuseUsed(disk, 'resize it');
    await disk.replaced(
      async (folder) => {
        // A client may have attached while this change waited for others.
        this.#lookup.refuseUsed(disk, 'resize it');
        await folder.resize(wholeBlocks(sizeBytes));
      },
      (folder) => this.#lookup.registry.openHosted(folder),
    );
    return this.#lookup.statusOf(disk);
  }

  async remove(name: string): Promise<void> {
    const lookup = this.#lookup;
    const { registry } = lookup;
    const disk = await registry.require(name);
    const { hosted } = disk;
    if (hosted === undefined) throw lookup.notOwner(disk);
    const { isOwner } = disk;
    // A former owner's copy may go once the owner needs no block of it.
    if (!isOwner && hosted.state.to?.free !== true) await refuseNeeded(disk, registry, () => lookup.notOwner(disk));
    lookup.refuseUsed(disk, 'remove it');
    let { state } = hosted;
    await registry.drop(disk, (present) => {
      if (present.isOwner !== isOwner || present.state.epoch !== state.epoch) throw lookup.notOwner(disk);
      lookup.refuseUsed(disk, 'remove it');
      state = present.state;
    });
    if (!isOwner) return;
    await releaseHolders(registry.options.peers, disk.record.uuid, state);
    registry.options.known.forget(disk.record.uuid);
    registry.options.notes.forget(disk.record.uuid);
    await this.#options.index?.remove(disk.record.name, disk.record.uuid);
  }

  async rename(name: string, newName: string): Promise<DiskStatus> {
    const { names, creator, index, log } = this.#options;
    const lookup = this.#lookup;
    const { registry } = lookup;
    checkExportName(newName);
    return names.claim(newName, 'disk', async () => {
      const disk = await lookup.owned(name);
      await creator.refuseTaken(newName);
      await renameDisk(disk, newName, { registry, index, refuseUsed: () => lookup.refuseUsed(disk, 'rename it') });
      log.info({ disk: newName, before: name }, 'renamed');
      return lookup.statusOf(disk);
    });
  }

  async snapshot(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    const disk = await this.#lookup.complete(name);
    return disk.frozen(({ folder, overlay }) => {
      // The disk may have moved away and back while this change waited for others.
      refuseIncomplete(name, overlay.remoteBytes);
      return folder.snapshot(snapshot, { ...options, mayCopy: !isUsed(disk) });
    });
  }

  async revert(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    const disk = await this.#lookup.complete(name);
    this.#lookup.refuseUsed(disk, 'revert it');
    let progress: Progress = { doneBytes: 0, totalBytes: 0 };
    await disk.replaced(
      async (folder) => {
        this.#lookup.refuseUsed(disk, 'revert it');
        progress = await folder.revert(snapshot, options);
      },
      (folder) => this.#lookup.registry.openHosted(folder),
    );
    return progress;
  }

  async removeSnapshot(name: string, snapshot: string): Promise<DiskStatus> {
    const disk = await this.#lookup.any(name);
    if (disk.hosted === undefined) throw this.#lookup.notOwner(disk);
    await disk.hosted.folder.removeSnapshot(snapshot);
    return this.#lookup.statusOf(disk);
  }

  promote(name: string, image: string, options: PromoteOptions): Promise<PromoteResult> {
    return this.#options.promoter.promote(name, image, options);
  }

  async take(name: string, { force = false, acceptLoss = false }: DiskTakeOptions): Promise<DiskTakeResult> {
    const { selfId, log } = this.#options;
    const { registry } = this.#lookup;
    const disk = await registry.require(name);
    const before = this.#lookup.statusOf(disk);
    const isLost = before.place === 'unreachable' || (before.place === 'granted' && !registry.options.peers?.isUp(before.owner));
    if (force && isLost) await takeByForce(disk, { registry, selfId, acceptLoss, log });
    else await disk.takeOver('take');
    disk.attachment.liftFences();
    const status = this.#lookup.statusOf(disk);
    return before.place === 'owner' ? status : { ...status, from: before.owner };
  }

  async acceptLoss(name: string, { confirmed = false }: DiskAcceptLossOptions): Promise<DiskStatus> {
    const disk = await this.#lookup.any(name);
    const { hosted } = disk;
    if (hosted === undefined) throw this.#lookup.notOwner(disk);
    const { loss } = hosted;
    if (loss !== undefined && !confirmed) {
      const remedy = `see to the disk below it first, and to its guest's file system; say that this is known by --yes`;
      throw new CopseError('ERR_DISK_LOSS', `${describeLoss(name, loss)}; ${remedy}`);
    }
    await hosted.footing.acceptLoss();
    return this.#lookup.statusOf(disk);
  }

  async migrate(name: string, to: string, options: JobOptions): Promise<MigrateResult> {
    const { peers, clock } = this.#lookup.registry.options;
    const disk = await this.#lookup.owned(name);
    if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster: there is nowhere to migrate to');
    const node = peers.up().find(({ id }) => id === to);
    if (node === undefined)
      throw new CopseError('ERR_OPTION', `there is no node "${to}" in the cluster that answers: "copse cluster status" shows who does`);
    if (node.id === peers.self.id) throw new CopseError('ERR_OPTION', `disk "${name}" is on node ${to} already`);
    const { uuid } = disk.record;
    this.#lookup.noteCopyTarget(uuid, to);
    try {
      const result = await migrate(disk, node, { ...options, peers, clock });
      if (result.handedOver) this.#lookup.noteCopyTarget(uuid, undefined);
      return result;
    } catch (error) {
      this.#lookup.noteCopyTarget(uuid, undefined);
      throw error;
    }
  }
}
