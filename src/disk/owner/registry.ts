/**
 * All disks of this node: those that it owns or owned, and disks of other nodes with clients here.
 *
 * Invariant: each uuid has one export and one folder. A caller that has waited with an export in
 * hand takes the present one (`current`), because the other may have been forgotten.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.js';
import { CopseError, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeLease } from '../../base/native/lane.js';
import type { Room } from '../../base/room.js';
import { blockSize } from '../../device/block-size.js';
import type { ClientIdentity, Export, ExportView } from '../../server/export.js';
import { createExportMetrics } from '../../server/export-metrics.js';
import { DiskFolder } from '../folder/folder.js';
import type { DiskLosses } from '../folder/loss.js';
import { type DiskImage, HostedDisk } from '../hosted/hosted-disk.js';
import type { Replica } from '../hosted/replica.js';
import { ExportIndex } from '../knowledge/export-index.js';
import type { KnownDisk, KnownDisks } from '../knowledge/known-disks.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { Claim, Proof } from '../protocol/chain.js';
import { type DiskRecord, type NodeRef, olderFirst } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { DiskNotes } from '../session/notes.js';
import { diskFeatures } from '../session/session.js';
import type { DiskDirectory } from './directory.js';
import { DiskExport } from './disk-export.js';
import { HeldEpochs } from './held-epoch.js';
import { describe, listed } from './listing.js';
import { proveClaim } from './own-word.js';
import { resolveElsewhere } from './resolve.js';
import { DiskSearch } from './search.js';
import type { Decision } from './state.js';

export interface DiskRegistryOptions {
  diskDir: string;
  notes: DiskNotes;
  losses?: DiskLosses | undefined;
  /** Makes room on the file system of the disks. */
  room?: Room | undefined;
  known: KnownDisks;
  /** Absent on a single host. */
  peers: RemoteNodes | undefined;
  /** Absent on a single host. */
  leases?: LeaseKeeper<NativeLease> | undefined;
  openBase(record: DiskRecord): Promise<DiskImage | undefined>;
  defaultDeadlineMs: number;
  clock: Clock;
  log: Logger;
}

export class DiskRegistry implements DiskDirectory {
  readonly options: DiskRegistryOptions;
  /** Copies that are made here ahead of a handover, by uuid. */
  readonly replicas = new Map<string, Replica>();
  readonly #search: DiskSearch;
  readonly #held: HeldEpochs;
  readonly #exports = new ExportIndex<DiskExport>();

  constructor(options: DiskRegistryOptions) {
    this.options = options;
    options.known.onName = (uuid) => this.#exports.touch(uuid);
    const stateOf = (uuid: string) => this.#exports.get(uuid)?.hosted?.state;
    this.#held = new HeldEpochs({ ...options, stateOf });
    this.#search = new DiskSearch({ ...options, stateOf, heldEpoch: (uuid) => this.heldEpoch(uuid) });
  }

  get exports(): DiskExport[] {
    return this.#exports.sorted.filter((disk) => this.#isThere(disk));
  }

  /** Upper bound of the number of exports. Disks of other nodes with clients here count twice. */
  get exportCount(): number {
    return this.#exports.size + this.options.known.size;
  }

  /** Opens all folders of this host. A folder that can't be opened is logged, and others go on. */
  async start(): Promise<void> {
    const { diskDir, log, room } = this.options;
    for (const folder of DiskFolder.list(diskDir, log, room)) {
      if (folder.state.state === 'incoming') {
        await folder.remove();
        continue;
      }
      await this.host(folder).catch((error: unknown) => {
        log.error(
          { disk: folder.record.name, folder: folder.path, reason: errorMessage(error) },
          'this disk is not served: remove what is in the way and start again',
        );
      });
    }
  }

  get(uuid: string): DiskExport | undefined {
    return this.#exports.get(uuid);
  }

  /** True if a disk of that name is here, or known to be elsewhere. */
  has(name: string): boolean {
    return this.byName(name) !== undefined || this.options.known.byName(name) !== undefined;
  }

  /** This node's own first, then those that others own. */
  byName(name: string): DiskExport | undefined {
    const named = this.#exports
      .named(name)
      .filter((disk) => this.#isThere(disk) && disk.hosted?.state.state !== 'incoming')
      .sort((left, right) => olderFirst(left.record, right.record));
    return named.find(({ isOwner }) => isOwner) ?? named[0];
  }

  /** The disk of that name, here or known to be elsewhere. */
  find(name: string): DiskExport | undefined {
    const here = this.byName(name);
    if (here !== undefined) return here;
    const known = this.options.known.byName(name);
    const disk = known === undefined ? undefined : this.exportOf(known.record);
    // This node may know better what it is named now.
    return disk?.record.name === name ? disk : undefined;
  }

  /** The disk that another node owns, as it is known here. */
  elsewhere(uuid: string): DiskExport | undefined {
    const known = this.options.known.get(uuid);
    return known === undefined ? undefined : this.exportOf(known.record);
  }

  /** The export of a disk as of now, for a caller that has waited since it was looked up. */
  current({ record }: DiskExport): DiskExport {
    return this.exportOf(record);
  }

  /** As `find`; asks the nodes that answer if this node knows no such disk. */
  async search(name: string): Promise<DiskExport | undefined> {
    const here = this.find(name);
    if (here !== undefined) return here;
    const asked = await this.#search.ask({ name });
    // This node may have forgotten the disk by now: its old owner knows it no more, its new one not
    // yet.
    return this.find(name) ?? (asked && this.exportOf(asked.record));
  }

  /** @throws CopseError `ERR_NO_SUCH_DISK` */
  async require(name: string): Promise<DiskExport> {
    const found = await this.search(name);
    if (found !== undefined) return found;
    throw new CopseError('ERR_NO_SUCH_DISK', `there is no disk "${name}": "copse disk ls" lists those that there are`);
  }

  /** One entry for each name, as the caller goes on: disks may come and go meanwhile. */
  list(): Iterable<{ name: string; description: string }> {
    return listed(this.exports, this.options.known);
  }

  /**
   * A disk as a client sees it that only asks. No client is attached, and no node is asked. The
   * size of another node's disk is the one that it said last.
   */
  view({ record }: DiskExport): ExportView {
    const { sizeBytes, multiConn } = record;
    return { name: record.name, description: describe(record), device: { sizeBytes, blockSize, features: diskFeatures(multiConn) } };
  }

  async attach(disk: DiskExport, client: ClientIdentity): Promise<Export> {
    // Its owner says how large it is now; when it does not answer, what it said last has to do.
    if (!disk.isOwner) await this.locate(disk.record.uuid, disk.record.name).catch(() => {});
    const present = this.current(disk);
    const session = present.attach(client);
    this.changed();
    return {
      name: present.record.name,
      description: describe(present.record),
      device: session,
      deadlineMs: this.deadlineMsOf(present.record),
      metrics: present.metrics,
      release: () => void session.close(),
    };
  }

  deadlineMsOf(record: DiskRecord): number {
    return record.deadlineMs ?? this.options.defaultDeadlineMs;
  }

  /** Opens a folder and serves it. */
  async host(folder: DiskFolder): Promise<DiskExport> {
    const disk = this.exportOf(folder.record);
    await disk.host(() => this.openHosted(folder));
    return disk;
  }

  openHosted(folder: DiskFolder): Promise<HostedDisk> {
    return HostedDisk.open(folder, this.options);
  }

  /**
   * The blocks of this node go, for good.
   *
   * @param check throws what is in the way, at the moment when nothing can come between any more
   * @param epoch the owner's, whose release this is; absent: an operator's word
   */
  async drop(disk: DiskExport, check: (hosted: HostedDisk) => void, epoch?: number): Promise<void> {
    await disk.remove(check, epoch);
    this.idle(disk.record.uuid);
    this.changed();
  }

  /** Ends a copy that is made ahead, if there is one. Its blocks stay where they are. */
  async endCopy(uuid: string): Promise<{ replica: Replica; replicated(block: number): boolean } | undefined> {
    const replica = this.replicas.get(uuid);
    this.replicas.delete(uuid);
    return replica && { replica, replicated: await replica.stop() };
  }

  heldEpoch(uuid: string): number {
    return this.#held.last(uuid);
  }

  durablyHeldEpoch(uuid: string): number {
    return this.#held.durably(uuid);
  }

  /** Answers how a handover to this node ended, of a disk that is here or not. */
  async resolve(uuid: string, epoch: number): Promise<Decision> {
    const disk = this.#exports.get(uuid);
    return disk === undefined ? resolveElsewhere(this, uuid, epoch) : disk.resolve(epoch);
  }

  hasFiles(uuid: string): boolean {
    return this.#held.hasFiles(uuid);
  }

  async close(): Promise<void> {
    for (const replica of this.replicas.values()) await replica.stop();
    const results = await Promise.allSettled(this.#exports.sorted.map((disk) => disk.close()));
    for (const result of results) {
      if (result.status === 'rejected') this.options.log.error({ reason: errorMessage(result.reason) }, 'a disk did not close cleanly');
    }
  }

  // What an export asks.

  get diskDir(): string {
    return this.options.diskDir;
  }

  get room(): Room | undefined {
    return this.options.room;
  }

  locate(uuid: string, name: string): Promise<NodeRef> {
    return this.#search.locate(uuid, name);
  }

  prove(claim: Claim): Promise<Proof> {
    return proveClaim(this, claim);
  }

  async reopen(uuid: string): Promise<HostedDisk | undefined> {
    const { diskDir, log } = this.options;
    const path = join(diskDir, uuid);
    if (!existsSync(path)) return undefined;
    this.#held.sync(uuid);
    return this.openHosted(new DiskFolder(path, log, this.options.room));
  }

  latest(uuid: string): KnownDisk | undefined {
    return this.options.known.get(uuid);
  }

  changed(uuid?: string): void {
    if (uuid !== undefined) this.#exports.touch(uuid);
    this.options.peers?.announce();
  }

  idle(uuid: string): void {
    const disk = this.#exports.get(uuid);
    if (disk === undefined) return;
    if (disk.hosted !== undefined || disk.attachment.count > 0 || disk.isBusy || this.hasFiles(uuid)) return;
    disk.forget();
    this.#exports.delete(uuid);
  }

  /** False for an export that was only looked at: its disk is on no node any more. */
  #isThere({ hosted, attachment, isBusy, record }: DiskExport): boolean {
    return hosted !== undefined || attachment.count > 0 || isBusy || this.options.known.get(record.uuid) !== undefined;
  }

  /** Made when there is none. */
  exportOf(record: DiskRecord): DiskExport {
    const known = this.#exports.get(record.uuid);
    if (known !== undefined) return known;
    const { notes, peers, leases, room, clock, log } = this.options;
    const disk = new DiskExport({ record, metrics: createExportMetrics(), home: this, notes, peers, leases, room, clock, log });
    this.#exports.set(record.uuid, disk);
    return disk;
  }
}
