/**
 * A disk as the clients of this node attach to it, on whichever node its owner is: sessions, leave
 * to write, the view.
 *
 * `ownership.ts` runs the machine that decides which node owns the disk.
 * docs/architecture/ownership.md shows a handover from node A to node B.
 *
 * Invariants: `here` is defined only while this node's owner file says `owner`. The registry
 * forgets no export that is busy, has clients, or has files here, so one export alone can own a
 * disk. A caller that has waited may find its export forgotten (`ERR_BUSY`).
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError, DeadlineError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeLease } from '../../base/native/lane.js';
import { type Room, withRoom } from '../../base/room.js';
import { MiB } from '../../base/size.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice, FastFiles } from '../../device/device.js';
import type { ClientIdentity, ExportMetrics } from '../../server/export.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { DiskLease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { DiskRecord } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import { Gate } from '../session/gate.js';
import type { DiskNotes } from '../session/notes.js';
import type { DiskSession, SessionHost } from '../session/session.js';
import { WriterElection } from '../session/writer.js';
import type { DiskDirectory } from './directory.js';
import { OwnerView } from './owner-view.js';
import { Ownership } from './ownership.js';
import { refusalError } from './refusal.js';
import { OwnershipRequests } from './request.js';

export interface DiskExportOptions {
  record: DiskRecord;
  metrics: ExportMetrics;
  home: DiskDirectory;
  notes: DiskNotes;
  peers: RemoteNodes | undefined;
  /** Absent on a single host. */
  leases?: LeaseKeeper<NativeLease> | undefined;
  /** Makes room on the file system of the disks. */
  room?: Room | undefined;
  clock: Clock;
  log: Logger;
}

/** Delay before a request that found no owner looks again, in ms. */
const retryMs = 200;

export class DiskExport extends OwnershipRequests implements SessionHost {
  readonly gate: Gate;
  readonly attachment: WriterElection;
  readonly metrics: ExportMetrics;
  readonly ownership: Ownership;
  readonly #options: DiskExportOptions;
  readonly #view: OwnerView;
  /** Ids of nodes that are attached for their clients, each as often as it is, latest last. */
  readonly #remote: string[] = [];
  #isForgotten = false;

  constructor(options: DiskExportOptions) {
    super();
    const { record, metrics, notes, clock, log, home, peers, leases } = options;
    this.#options = options;
    this.metrics = metrics;
    this.gate = new Gate(() => void this.ownership.refresh());
    this.attachment = new WriterElection({ host: this, uuid: record.uuid, name: record.name, notes, clock, log });
    this.#view = new OwnerView({
      peers,
      locate: (uuid, name) => home.locate(uuid, name),
      toldOwner: () => home.latest(record.uuid)?.owner,
      isWanted: () => this.attachment.count > 0,
    });
    const { gate, attachment } = this;
    const presentRecord = (): DiskRecord => this.record;
    this.ownership = new Ownership({
      ...{ record, metrics, home, notes, peers, leases, gate, attachment, presentRecord, clock, log },
      view: this.#view,
    });
  }

  get record(): DiskRecord {
    const { hosted, lastRecord } = this.ownership.files;
    if (hosted?.isOwner) return hosted.record;
    // It may have grown since it was here.
    const told = this.#options.home.latest(lastRecord.uuid);
    if (told !== undefined && told.epoch > (hosted?.state.epoch ?? 0)) return told.record;
    return hosted?.record ?? lastRecord;
  }

  /** Blocks that this node has, or had, of the disk. */
  get hosted(): HostedDisk | undefined {
    return this.ownership.files.hosted;
  }

  get sizeBytes(): number {
    return this.record.sizeBytes;
  }

  get multiConn(): boolean {
    return this.record.multiConn;
  }

  get here(): BlockDevice | undefined {
    const { hosted } = this;
    return hosted?.isOwner ? hosted.disk : undefined;
  }

  /** Lease under which this node answers for the disk. */
  get lease(): DiskLease<NativeLease> | undefined {
    return this.isOwner ? this.ownership.upkeep.lease : undefined;
  }

  get files(): FastFiles | undefined {
    const { upkeep, driver } = this.ownership;
    const { lease } = upkeep;
    const files = driver.volatile.isClosed ? undefined : this.here?.files;
    return files === undefined || lease === undefined ? files : { ...files, lease: lease.word };
  }

  /** Other nodes that are attached for their clients. */
  get remoteNodes(): string[] {
    return [...new Set(this.#remote)];
  }

  /** The registry lets go of it. No client attaches to it any more, and it never owns the disk. */
  forget(): void {
    this.#isForgotten = true;
    this.ownership.upkeep.end();
    this.#view.close();
  }

  /** @throws CopseError `ERR_BUSY` if the export was forgotten: the registry has another one */
  protected override checkPresent(): void {
    if (this.#isForgotten)
      throw new CopseError('ERR_BUSY', `disk "${this.record.name}" was let go of by this node meanwhile: ask for it again`);
  }

  // Sessions.

  /** @throws CopseError `ERR_BUSY` if the export was forgotten */
  attach(client: ClientIdentity): DiskSession {
    this.checkPresent();
    return this.attachment.attach(client);
  }

  mayChange(session: DiskSession): boolean {
    return this.attachment.mayChange(session);
  }

  async admit(session: DiskSession, options: RequestOptions): Promise<void> {
    const { deadlineMs, signal } = options;
    const wait = { timeoutMs: deadlineMs, signal, clock: this.#options.clock };
    const what = `disk "${this.record.name}": leave to write`;
    if (!this.isOwner) await waitFor(what, this.takeOver('write', session), wait);
    else if (!this.gate.isOpen) await waitFor(what, this.gate.opened(), wait);
    // The writer is noted on the disk first.
    else
      await waitFor(
        what,
        withRoom(() => this.attachment.promote(session), { room: this.#options.room, lengthBytes: MiB }),
        wait,
      );
  }

  async view(): Promise<BlockDevice> {
    const device = await this.#view.open(this.record);
    if (this.here !== undefined) return this.here;
    if (device === undefined) throw this.#notOwner();
    return device;
  }

  relocate(view: BlockDevice): Promise<void> {
    return this.#view.leave(view);
  }

  /** Another node is said to own it now. */
  follow(): void {
    this.#view.follow();
  }

  countdown(options: RequestOptions): () => RequestOptions {
    const { deadlineMs = 0 } = options;
    const { clock } = this.#options;
    if (deadlineMs === 0) return () => options;
    const startMs = clock.nowMs();
    return () => {
      const leftMs = startMs + deadlineMs - clock.nowMs();
      if (leftMs <= 0) throw new DeadlineError(`disk "${this.record.name}"`, deadlineMs);
      return { ...options, deadlineMs: leftMs };
    };
  }

  /** Resolves when a handover to this node has ended, or else after a moment. */
  async pause({ signal, deadlineMs }: RequestOptions): Promise<void> {
    const { clock } = this.#options;
    let cancel = (): void => {};
    const moment = new Promise<void>((resolve) => {
      cancel = clock.after(retryMs, resolve);
    });
    const ended = this.takingOver?.catch(() => moment);
    try {
      await waitFor(`disk "${this.record.name}": its owner`, ended ?? moment, { signal, timeoutMs: deadlineMs, clock });
    } finally {
      cancel();
    }
  }

  refused(session: DiskSession): void {
    this.attachment.refused(session);
  }

  left(session: DiskSession): void {
    this.attachment.left(session);
    if (this.attachment.count > 0) return;
    if (session.isUsed) this.#inviteIdle();
    this.#view.close();
    this.#options.home.changed(this.#options.record.uuid);
    this.#options.home.idle(this.#options.record.uuid);
  }

  // Other nodes that are attached for their clients.

  attachRemote(nodeId: string): () => void {
    this.#remote.push(nodeId);
    this.#options.home.changed(this.#options.record.uuid);
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      this.#remote.splice(this.#remote.lastIndexOf(nodeId), 1);
      this.#options.home.changed(this.#options.record.uuid);
    };
  }

  async close(): Promise<void> {
    await this.ownership.close();
    this.#view.close();
    await this.ownership.files.close();
  }

  #notOwner(): Error {
    const { files } = this.ownership;
    const work = { kind: 'take', id: '', phase: '' } as const;
    return refusalError('not owner', { record: this.record, file: files.state, loss: undefined, work });
  }

  /**
   * Asks the node whose clients are attached to take the disk. The owner's clients have left, and
   * an idle guest never takes the disk by a write.
   */
  #inviteIdle(): void {
    const { peers, log } = this.#options;
    const node = peers?.up().find(({ id }) => id === this.#remote.at(-1));
    if (peers === undefined || node === undefined || !this.isOwner || this.record.handover !== 'auto') return;
    const { uuid, name } = this.record;
    peers.call(node, 'disk.invite', { uuid, reason: 'idle' }).catch((error: unknown) => {
      log.debug({ disk: name, node: node.id, reason: errorMessage(error), code: errorCode(error) }, 'the node does not take the disk yet');
    });
  }
}
