/** What operators do with disks. */

import { randomUUID } from 'node:crypto';
import type { ImageAddRequest } from '../../admin/control.js';
import type { DiskControl, DiskCreateRequest, DiskStatus, DiskTakeResult, MigrateResult, PromoteResult } from '../../admin/control-disk.js';
import { CopseError, errorCode } from '../../base/error.js';
import { checkExportName } from '../../base/export-name.js';
import type { JobOptions, Progress } from '../../base/job.js';
import type { Logger } from '../../base/log.js';
import { blockBytes } from '../../base/native.js';
import { formatSize } from '../../base/size.js';
import { Slice } from '../../base/slice.js';
import type { DiskOrigins } from '../../catalog/disk-origin.js';
import { type ExportNames, takenError } from '../../catalog/export-names.js';
import { DiskFolder } from '../../disk/folder/folder.js';
import { describeLoss } from '../../disk/folder/loss.js';
import type { EtcdDiskIndex } from '../../disk/knowledge/etcd-index.js';
import { keepersOf, withConflict } from '../../disk/operate/conflict.js';
import { takeByForce } from '../../disk/operate/force.js';
import { migrate } from '../../disk/operate/migrate.js';
import { writeImage } from '../../disk/operate/promote.js';
import { refuseNeeded, releaseHolders } from '../../disk/operate/removal.js';
import { renameDisk } from '../../disk/operate/rename.js';
import { diskStatus } from '../../disk/operate/status.js';
import type { DiskExport } from '../../disk/owner/disk-export.js';
import type { DiskRegistry } from '../../disk/owner/registry.js';
import type { DiskRecord } from '../../disk/protocol/record.js';
import { usersOf } from '../../image/image-user.js';
import type { PromotedFiles } from '../../image/promoted-files.js';
import type { ImageRegistry } from '../../image/registry.js';
import type { ManifestStore } from '../../manifest/store.js';

export interface NodeDisksOptions {
  registry: DiskRegistry;
  images: ImageRegistry;
  names: ExportNames;
  /** The node that serves an image of a name; absent where the catalog says that of all nodes. */
  imageElsewhere: ((name: string) => Promise<string | undefined>) | undefined;
  manifestStore: ManifestStore;
  selfId: string;
  /** Where promoted images go that name no file. */
  files: PromotedFiles;
  defaultChunkSizeBytes: number;
  /** Where the names of disks are agreed on. */
  index: EtcdDiskIndex | undefined;
  /** Which contents' origins this node may open, whatever becomes of their names. */
  origins: DiskOrigins;
  log: Logger;
}

export class NodeDisks implements DiskControl {
  readonly #options: NodeDisksOptions;
  /** Where a copy is made ahead, by uuid. */
  readonly #migrating = new Map<string, string>();

  constructor(options: NodeDisksOptions) {
    this.#options = options;
  }

  async createDisk(request: DiskCreateRequest): Promise<DiskStatus> {
    const { name } = request;
    checkExportName(name);
    return this.#options.names.claim(name, 'disk', async () => {
      await this.#refuseTaken(name);
      const record = this.#recordOf(request);
      if (record.image !== undefined) this.#options.origins.remember(record.image.content);
      return this.#statusOf(await this.#make(record));
    });
  }

  #recordOf(request: DiskCreateRequest): DiskRecord {
    const { images } = this.#options;
    const image = request.image === undefined ? undefined : images.get(request.image).record;
    const leastBytes = image?.content.sizeBytes ?? 0;
    const sizeBytes = roundUp(request.sizeBytes ?? leastBytes);
    if (sizeBytes === 0) throw new CopseError('ERR_SIZE', `disk "${request.name}" has no image: say how large it is (--size)`);
    if (sizeBytes < leastBytes) {
      throw new CopseError(
        'ERR_SIZE',
        `disk "${request.name}": ${formatSize(sizeBytes)} is less than image "${image?.name}" has (${formatSize(leastBytes)})`,
      );
    }
    return {
      format: 1,
      name: request.name,
      uuid: randomUUID(),
      sizeBytes,
      image: image === undefined ? undefined : { name: image.name, content: image.content, share: image.share },
      createdAt: new Date().toISOString(),
      multiConn: request.multiConn ?? false,
      handover: request.handover ?? 'auto',
      deadlineMs: request.deadlineMs,
    };
  }

  async listDisks(): Promise<DiskStatus[]> {
    const { registry } = this.#options;
    const here = registry.exports.filter(({ hosted }) => hosted === undefined || hosted.state.state !== 'incoming');
    const names = new Set(here.map(({ record }) => record.uuid));
    const elsewhere = registry.options.known.list().filter(({ record }) => !names.has(record.uuid));
    const keepers = keepersOf([...here.map(({ record }) => record), ...elsewhere.map(({ record }) => record)]);
    const slice = new Slice();
    const statuses: DiskStatus[] = [];
    for (const disk of here) {
      await slice.turn();
      statuses.push(this.#statusOf(disk));
    }
    for (const { record } of elsewhere) {
      await slice.turn();
      const disk = registry.elsewhere(record.uuid);
      if (disk !== undefined) statuses.push(this.#statusOf(disk));
    }
    return statuses
      .map((status) => withConflict(status, keepers.get(status.name)))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async diskStatus(name: string): Promise<DiskStatus> {
    const { registry } = this.#options;
    const status = this.#statusOf(await registry.require(name));
    const records = [...registry.exports.map(({ record }) => record), ...registry.options.known.list().map(({ record }) => record)];
    return withConflict(status, keepersOf(records.filter((record) => record.name === status.name)).get(status.name));
  }

  async resizeDisk(name: string, sizeBytes: number): Promise<DiskStatus> {
    const disk = await this.#owned(name);
    this.#refuseUsed(disk, 'resize it');
    await disk.replaced(
      async (folder) => {
        // One may have attached while others were at the disk.
        this.#refuseUsed(disk, 'resize it');
        await folder.resize(roundUp(sizeBytes));
      },
      (folder) => this.#options.registry.openHosted(folder),
    );
    return this.#statusOf(disk);
  }

  async removeDisk(name: string): Promise<void> {
    const { registry } = this.#options;
    const disk = await registry.require(name);
    const { hosted } = disk;
    if (hosted === undefined) throw this.#notOwner(disk);
    const { isOwner } = disk;
    // A former owner's copy that the new one does not need, but it is not told whose it is.
    if (!isOwner && hosted.state.to?.free !== true) await refuseNeeded(disk, registry, () => this.#notOwner(disk));
    this.#refuseUsed(disk, 'remove it');
    let { state } = hosted;
    await registry.drop(disk, (present) => {
      if (present.isOwner !== isOwner || present.state.epoch !== state.epoch) throw this.#notOwner(disk);
      this.#refuseUsed(disk, 'remove it');
      state = present.state;
    });
    if (!isOwner) return;
    await releaseHolders(registry.options.peers, disk.record.uuid, state);
    registry.options.known.forget(disk.record.uuid);
    registry.options.notes.forget(disk.record.uuid);
    await this.#options.index?.remove(disk.record.name, disk.record.uuid);
  }

  async renameDisk(name: string, newName: string): Promise<DiskStatus> {
    const { names, registry, index, log } = this.#options;
    checkExportName(newName);
    return names.claim(newName, 'disk', async () => {
      const disk = await this.#owned(name);
      await this.#refuseTaken(newName);
      await renameDisk(disk, newName, { registry, index, refuseUsed: () => this.#refuseUsed(disk, 'rename it') });
      log.info({ disk: newName, before: name }, 'renamed');
      return this.#statusOf(disk);
    });
  }

  async snapshotDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    const disk = await this.#complete(name);
    return disk.frozen(({ folder, overlay }) => {
      // It may have been away and come back while others were at the disk.
      refuseIncomplete(name, overlay.remoteBytes);
      return folder.snapshot(snapshot, { ...options, mayCopy: !isUsed(disk) });
    });
  }

  async revertDisk(name: string, snapshot: string, options: JobOptions): Promise<Progress> {
    const disk = await this.#complete(name);
    this.#refuseUsed(disk, 'revert it');
    let progress: Progress = { doneBytes: 0, totalBytes: 0 };
    await disk.replaced(
      async (folder) => {
        this.#refuseUsed(disk, 'revert it');
        progress = await folder.revert(snapshot, options);
      },
      (folder) => this.#options.registry.openHosted(folder),
    );
    return progress;
  }

  async removeSnapshot(name: string, snapshot: string): Promise<DiskStatus> {
    const disk = await this.#options.registry.require(name);
    if (disk.hosted === undefined) throw this.#notOwner(disk);
    await disk.hosted.folder.removeSnapshot(snapshot);
    return this.#statusOf(disk);
  }

  async promoteDisk(name: string, image: string, { path, ...options }: JobOptions & { path?: string | undefined }): Promise<PromoteResult> {
    const { images, names, manifestStore, files, defaultChunkSizeBytes } = this.#options;
    checkExportName(image);
    return names.claim(image, 'image', async () => {
      await images.refuseTaken(image);
      const disk = await this.#owned(name);
      if (isUsed(disk))
        throw new CopseError('ERR_DISK_IN_USE', `disk "${name}" has clients attached, who may write meanwhile: detach them first`);
      const target = path ?? files.pathFor(image);
      // Elsewhere the cache of this state directory has nothing to give.
      const room = path === undefined ? this.#options.registry.options.room : undefined;
      const how = { ...options, image, path: target, chunkBytes: defaultChunkSizeBytes, store: manifestStore, room };
      const result = await disk.frozen((hosted) => writeImage(hosted.disk, how));
      const request: ImageAddRequest = { name: image, url: target, format: 'raw', manifest: result.manifestPath, digest: result.digest };
      try {
        await images.add(request);
      } catch (error) {
        // With etcd away nobody knows whether the image is in the catalog, so its file stays.
        if (path === undefined && errorCode(error) !== 'ERR_ETCD_UNAVAILABLE') {
          files.mark({ url: target, manifest: { digest: result.digest } });
          await files.sweep();
        }
        throw error;
      }
      return result;
    });
  }

  async takeDisk(
    name: string,
    { force = false, acceptLoss = false }: { force?: boolean | undefined; acceptLoss?: boolean | undefined },
  ): Promise<DiskTakeResult> {
    const { registry, selfId, log } = this.#options;
    const disk = await registry.require(name);
    const before = this.#statusOf(disk);
    const isLost = before.place === 'unreachable' || (before.place === 'granted' && !registry.options.peers?.isUp(before.owner));
    if (force && isLost) await takeByForce(disk, { registry, selfId, acceptLoss, log });
    else await disk.takeOver('take');
    disk.attachment.liftFences();
    const status = this.#statusOf(disk);
    return before.place === 'owner' ? status : { ...status, from: before.owner };
  }

  async acceptDiskLoss(name: string, { confirmed = false }: { confirmed?: boolean | undefined }): Promise<DiskStatus> {
    const disk = await this.#options.registry.require(name);
    const { hosted } = disk;
    if (hosted === undefined) throw this.#notOwner(disk);
    const { loss } = hosted;
    if (loss !== undefined && !confirmed) {
      const remedy = `see to the disk below it first, and to its guest's file system; say that this is known by --yes`;
      throw new CopseError('ERR_DISK_LOSS', `${describeLoss(name, loss)}; ${remedy}`);
    }
    await hosted.footing.acceptLoss();
    return this.#statusOf(disk);
  }

  async migrateDisk(name: string, to: string, options: JobOptions): Promise<MigrateResult> {
    const { registry } = this.#options;
    const { peers, clock } = registry.options;
    const disk = await this.#owned(name);
    if (peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster: there is nowhere to migrate to');
    const node = peers.up().find(({ id }) => id === to);
    if (node === undefined)
      throw new CopseError('ERR_OPTION', `there is no node "${to}" in the cluster that answers: "copse cluster status" shows who does`);
    if (node.id === peers.self.id) throw new CopseError('ERR_OPTION', `disk "${name}" is on node ${to} already`);
    this.#migrating.set(disk.record.uuid, to);
    try {
      const result = await migrate(disk, node, { ...options, peers, clock });
      if (result.handedOver) this.#migrating.delete(disk.record.uuid);
      return result;
    } catch (error) {
      this.#migrating.delete(disk.record.uuid);
      throw error;
    }
  }

  /** This node's disks, for a drain. */
  get owned(): DiskExport[] {
    return this.#options.registry.exports.filter(({ isOwner }) => isOwner);
  }

  /** Disks that are built on an image. */
  usersOf(imageName: string): string[] {
    const { registry, images } = this.#options;
    const disks = [...registry.exports.map(({ record }) => record), ...registry.options.known.list().map(({ record }) => record)];
    const records = images.images.map(({ record }) => record);
    return usersOf(imageName, records, disks);
  }

  /** With etcd its name is taken there first; what is left there of a disk that could not be made goes with the next look. */
  async #make(record: DiskRecord): Promise<DiskExport> {
    const { registry, index } = this.#options;
    const { peers, diskDir, room } = registry.options;
    if (index !== undefined && peers !== undefined) await index.claim({ record, owner: peers.self, epoch: 1, dataBytes: 0 });
    try {
      return await registry.host(await DiskFolder.create(diskDir, record, { format: 1, state: 'owner', epoch: 1, nodes: {} }, { room }));
    } finally {
      index?.made(record.name);
      registry.changed();
    }
  }

  /** @throws CopseError `ERR_NO_SUCH_DISK`, `ERR_NOT_OWNER` */
  async #owned(name: string): Promise<DiskExport> {
    const disk = await this.#options.registry.require(name);
    if (!disk.isOwner) throw this.#notOwner(disk);
    return disk;
  }

  /** @throws CopseError `ERR_DISK_INCOMPLETE`, and as `#owned` */
  async #complete(name: string): Promise<DiskExport> {
    const disk = await this.#owned(name);
    refuseIncomplete(name, disk.hosted?.overlay.remoteBytes ?? 0);
    return disk;
  }

  #notOwner(disk: DiskExport): CopseError {
    const { owner } = this.#statusOf(disk);
    return new CopseError(
      'ERR_NOT_OWNER',
      `disk "${disk.record.name}" is owned by node ${owner}: ask that node, or "copse disk take ${disk.record.name}" first`,
    );
  }

  #refuseUsed(disk: DiskExport, what: string): void {
    if (!isUsed(disk)) return;
    const remote = disk.remoteNodes.length === 0 ? '' : `, at ${disk.remoteNodes.join(', ')} too`;
    throw new CopseError('ERR_DISK_IN_USE', `disk "${disk.record.name}" has clients attached${remote}: detach them, then ${what}`);
  }

  async #refuseTaken(name: string): Promise<void> {
    const { registry, images, imageElsewhere } = this.#options;
    if (images.has(name)) throw takenError(name, 'disk');
    const node = await imageElsewhere?.(name);
    if (node !== undefined) throw takenError(name, 'disk', `node ${node} serves an image "${name}"`);
    const known = await registry.search(name);
    if (known === undefined) return;
    throw new CopseError(
      'ERR_DISK_EXISTS',
      `disk "${name}" exists, on node ${this.#statusOf(known).owner}: choose another name, or remove it first`,
    );
  }

  #statusOf(disk: DiskExport): DiskStatus {
    const { registry, selfId } = this.#options;
    const { known, notes, peers } = registry.options;
    return diskStatus(disk, { selfId, known, notes, peers, migratingTo: (uuid) => this.#migrating.get(uuid) });
  }
}

function isUsed(disk: DiskExport): boolean {
  return disk.attachment.count > 0 || disk.remoteNodes.length > 0;
}

/** @throws CopseError `ERR_DISK_INCOMPLETE` */
function refuseIncomplete(name: string, remoteBytes: number): void {
  if (remoteBytes === 0) return;
  throw new CopseError(
    'ERR_DISK_INCOMPLETE',
    `disk "${name}": ${formatSize(remoteBytes)} of it are still on other nodes; try again when "copse disk status" shows that all is here`,
  );
}

function roundUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes) * blockBytes;
}
