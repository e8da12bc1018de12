/**
 * A disk as the clients of this node attach to it, wherever its owner is, and this node's part in moving it.
 *
 * The handover, from owner A to this node B and back: docs/disks.md, "Moving", and docs/architecture.md, "A disk moves".
 *
 * Invariants: `here` is defined only while this node's durable log says `owner`; a grant is durable before anybody hears of it, and an acceptance before anything is written under it; ownership
 * changes one step at a time (`#serial`), and a step that waits for another node holds nothing that the other's answer needs.
 * Who has this object in hand across an await may find it forgotten: it takes nobody in then (`ERR_BUSY`), and the registry has another one, or none. While an export is busy, has clients, or has files
 * on this host it is not forgotten, so of one disk there is one export that can own it.
 */

import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { ClosedError, CopseError, DeadlineError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeLease } from '../../base/native.js';
import { type Room, withRoom } from '../../base/room.js';
import { MiB } from '../../base/size.js';
import type { RequestOptions } from '../../block/read-options.js';
import type { BlockDevice, FastFiles } from '../../device/device.js';
import type { ClientIdentity, ExportMetrics } from '../../server/export.js';
import type { DiskFolder } from '../folder/folder.js';
import { lossError } from '../folder/loss.js';
import { Completion, requestCountOf } from '../hosted/completion.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { KnownDisk } from '../knowledge/known-disks.js';
import type { DiskLease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { Handover, HandoverReason } from '../protocol/call.js';
import { checkHandover } from '../protocol/chain.js';
import type { DiskRecord, NodeRef } from '../protocol/record.js';
import type { DiskPeers } from '../protocol/remote-nodes.js';
import { Gate } from '../session/gate.js';
import type { DiskNotes } from '../session/notes.js';
import type { DiskSession, SessionHost } from '../session/session.js';
import { Attachment } from '../session/writer.js';
import { OwnerView } from './owner-view.js';
import { Settlement } from './settlement.js';
import { Steps } from './steps.js';
import { Takeover } from './takeover.js';

/** What an export asks of the registry of disks. */
export interface DiskHome {
  /** Who owns it, as far as this node or any that answers knows. @throws CopseError `ERR_OWNER_UNREACHABLE`, `ERR_NO_SUCH_DISK` */
  locate(uuid: string, name: string): Promise<NodeRef>;
  /** Makes this node the owner on disk: the folder, with the inherited map, under the epoch. @param present what this node has of the disk */
  accept(handover: Handover, giver: NodeRef, present: HostedDisk | undefined): Promise<HostedDisk>;
  /** Opens what this node has of the disk, which nobody has open: as it is on its own disk now. */
  reopen(uuid: string): Promise<HostedDisk | undefined>;
  /** Whether there are files of the disk on this host, open or not. */
  hasFiles(uuid: string): boolean;
  /** What was told last of the disk, as another node's. */
  latest(uuid: string): KnownDisk | undefined;
  /** Owner, place or attached nodes have changed. */
  changed(diskExport: DiskExport): void;
  /** Something that kept the export has ended. */
  idle(diskExport: DiskExport): void;
}

export interface DiskExportOptions {
  record: DiskRecord;
  metrics: ExportMetrics;
  home: DiskHome;
  notes: DiskNotes;
  peers: DiskPeers | undefined;
  /** Absent on a single host. */
  leases?: LeaseKeeper<NativeLease> | undefined;
  /** Makes room on the file system of the disks. */
  room?: Room | undefined;
  clock: Clock;
  log: Logger;
}

/** How long a handover, or a snapshot, waits for the lease, in ms: longer than the keeper does. */
const leaseWaitMs = 10_000;
/** Before a request that found no owner looks again. */
const retryMs = 200;
/** Before the rest of the disk is fetched: its guests, who have waited for the handover, go first. */
const restAfterHandoverMs = 1000;
/** Before files that could not be opened are tried again. */
const reopenMs = 1000;

export class DiskExport implements SessionHost {
  readonly gate = new Gate(() => void this.#refresh());
  readonly attachment: Attachment;
  readonly metrics: ExportMetrics;
  readonly #options: DiskExportOptions;
  #record: DiskRecord;
  #hosted: HostedDisk | undefined;
  #lease: DiskLease<NativeLease> | undefined;
  /** When the present step began that changes owner or files; for a grant that is undone, the grant. */
  #sinceMs: number | undefined;
  readonly #view: OwnerView;
  readonly #settlement: Settlement;
  #completion: Completion | undefined;
  /** Ids of nodes that are attached for their clients, each as often as it is, latest last. */
  readonly #remote: string[] = [];
  readonly #steps = new Steps(() => this.#options.home.idle(this));
  readonly #takeover: Takeover | undefined;
  #takingOver: Promise<void> | undefined;
  /** While files of the disk that could not be opened wait to be tried again. */
  #cancelReopening: (() => void) | undefined;
  #isAccepting = false;
  #isForgotten = false;
  #closed = false;

  constructor(options: DiskExportOptions) {
    const { record, metrics, notes, clock, log } = options;
    this.#options = options;
    this.#record = record;
    this.metrics = metrics;
    this.attachment = new Attachment({ host: this, uuid: record.uuid, name: record.name, notes, clock, log });
    const { home, peers } = options;
    this.#view = new OwnerView({
      peers,
      locate: (uuid, name) => home.locate(uuid, name),
      toldOwner: () => home.latest(record.uuid)?.owner,
      isWanted: () => this.attachment.count > 0,
    });
    this.#settlement = new Settlement({
      peers,
      clock,
      hosted: () => this.#hosted,
      isAccepting: () => this.#isAccepting,
      laterThan: (epoch) => this.#laterThan(epoch),
      onAccepted: (epoch, by) => this.accepted(epoch, by),
      onRefused: (epoch) => this.attachment.readmit(epoch),
      onUndone: () => this.#undone(),
    });
    this.#takeover =
      peers &&
      new Takeover({
        ...{ peers, gate: this.gate, attachment: this.attachment, view: this.#view, clock, log },
        locate: (uuid, name) => home.locate(uuid, name),
        latest: (uuid) => home.latest(uuid),
        accept: (handover, giver) => this.#accept(handover, giver),
        notOwner: () => this.#notOwner(),
      });
  }

  get record(): DiskRecord {
    const hosted = this.#hosted;
    if (hosted?.isOwner) return hosted.record;
    // It may have grown since it was here.
    const told = this.#options.home.latest(this.#record.uuid);
    if (told !== undefined && told.epoch > (hosted?.state.epoch ?? 0)) return told.record;
    return hosted?.record ?? this.#record;
  }

  /** Where this node has, or had, the disk's blocks. */
  get hosted(): HostedDisk | undefined {
    return this.#hosted;
  }

  get sizeBytes(): number {
    return this.record.sizeBytes;
  }

  get multiConn(): boolean {
    return this.record.multiConn;
  }

  get isOwner(): boolean {
    return this.#hosted?.isOwner ?? false;
  }

  get here(): BlockDevice | undefined {
    return this.#hosted?.isOwner ? this.#hosted.disk : undefined;
  }

  /** The lease under which this node answers for the disk. */
  get lease(): DiskLease<NativeLease> | undefined {
    return this.isOwner ? this.#lease : undefined;
  }

  get files(): FastFiles | undefined {
    const files = this.#closed ? undefined : this.here?.files;
    return files === undefined || this.#lease === undefined ? files : { ...files, lease: this.#lease.word };
  }

  /** Other nodes that are attached for their clients. */
  get remoteNodes(): string[] {
    return [...new Set(this.#remote)];
  }

  /** Why former owners do not give what only they have, by id. */
  get trouble(): ReadonlyMap<string, string> {
    return this.#completion?.trouble ?? new Map();
  }

  /** A handover that was asked for is under way, or about to be. */
  get isTakingOver(): boolean {
    return this.#takingOver !== undefined;
  }

  /** Its owner or its files are being changed, or wait to be opened. */
  get isBusy(): boolean {
    return this.isTakingOver || this.#steps.isBusy || this.#cancelReopening !== undefined;
  }

  /** The registry lets go of it: from now on nobody attaches to it, and it never owns the disk. */
  forget(): void {
    this.#isForgotten = true;
    this.#settlement.close();
    this.#view.close();
  }

  // Sessions.

  /** @throws CopseError `ERR_BUSY` when it was forgotten: the registry has another one */
  attach(client: ClientIdentity): DiskSession {
    if (this.#isForgotten) throw this.#forgotten();
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
    // Who writes is noted on the disk first.
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

  /** Somebody else is said to own it now. */
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

  /** Until it is worth looking again for leave to read or write: the end of a handover to this node that is under way, or a moment. */
  async pause({ signal, deadlineMs }: RequestOptions): Promise<void> {
    const { clock } = this.#options;
    let cancel = (): void => {};
    const moment = new Promise<void>((resolve) => {
      cancel = clock.after(retryMs, resolve);
    });
    const ended = this.#takingOver?.catch(() => moment);
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
    this.#options.home.changed(this);
    this.#options.home.idle(this);
  }

  // Other nodes that are attached for their clients.

  attachRemote(nodeId: string): () => void {
    this.#remote.push(nodeId);
    this.#options.home.changed(this);
    let attached = true;
    return () => {
      if (!attached) return;
      attached = false;
      this.#remote.splice(this.#remote.lastIndexOf(nodeId), 1);
      this.#options.home.changed(this);
    };
  }

  // Ownership.

  /** Hands the disk over. The answer is the same for the same node until that has accepted. @throws CopseError `ERR_NOT_OWNER`, `ERR_HANDOVER_EXPLICIT`; what the last flush rejects with */
  async grant(to: NodeRef, reason: HandoverReason): Promise<Handover> {
    if (!this.isOwner) return this.#granted(to);
    return this.#serial(async () => {
      const hosted = this.#hosted;
      if (hosted === undefined || !hosted.isOwner) return this.#granted(to);
      const { name, handover } = hosted.record;
      if (handover === 'explicit' && (reason === 'write' || reason === 'idle')) {
        throw new CopseError(
          'ERR_HANDOVER_EXPLICIT',
          `disk "${name}" is handed over by an operator's word alone: "copse disk take ${name}" on node ${to.id}`,
        );
      }
      await this.#completion?.stop();
      const open = await this.gate.close();
      try {
        await hosted.disk.flush();
        await this.#lease?.settled({ deadlineMs: leaseWaitMs });
        const { state } = hosted;
        // It was taken by force meanwhile.
        if (state.state !== 'owner') throw this.#notOwner();
        // Before the grant: who is displaced by it must not come back as if nothing had been, after a crash in between.
        this.attachment.displaceAll(`clients of node ${to.id}, which owns it now`, state.epoch + 1);
        this.#began();
        // From here on `here` is undefined: no session reaches the overlay any more.
        hosted.folder.setState({ ...state, state: 'granted', to: { ...to, accepted: false } });
        await this.#refresh();
        this.#options.log.info({ disk: name, to: to.id, epoch: state.epoch + 1, reason }, 'handed over');
        this.#settlement.begin();
      } catch (error) {
        if (hosted.isOwner) this.attachment.readmit(hosted.state.epoch + 1);
        this.#complete();
        throw error;
      } finally {
        open();
      }
      this.#options.home.changed(this);
      return this.#granted(to);
    });
  }

  /** The node to which it was granted says that it owns it. */
  accepted(epoch: number, by: NodeRef): void {
    const hosted = this.#hosted;
    if (hosted?.state.state !== 'granted' || hosted.isClosed) return;
    const { state } = hosted;
    if (state.to?.id !== by.id || epoch !== state.epoch + 1 || state.to.accepted) return;
    this.#settlement.end();
    hosted.folder.setState({ ...state, to: { ...by, accepted: true } });
    this.#options.home.changed(this);
  }

  /** A node owns the disk under a later epoch, whatever this one believed: it was taken by force. */
  superseded(epoch: number, by: NodeRef): void {
    const hosted = this.#hosted;
    if (hosted === undefined || !hosted.isOwner || epoch <= hosted.state.epoch) return;
    this.#options.log.error(
      { disk: hosted.record.name, epoch: hosted.state.epoch, by: by.id, theirs: epoch },
      'another node took this disk by force: this one is not served any more; its blocks stay until "copse disk rm" here',
    );
    this.#lease?.lose();
    hosted.folder.setState({ ...hosted.state, state: 'granted', to: { ...by, accepted: true, free: true } });
    this.attachment.displaceAll(`node ${by.id}, which took the disk by force`);
    void this.#refresh();
    void this.#completion?.stop();
    this.#options.home.changed(this);
  }

  /**
   * Makes this node the owner, by the owner's leave. Who asks while that is under way waits for the same.
   *
   * @param writer whose change is the reason
   */
  takeOver(reason: HandoverReason, writer?: DiskSession): Promise<void> {
    if (this.#isForgotten) return Promise.reject(this.#forgotten());
    this.#takingOver ??= this.#serial(() => this.#takeOver(reason, writer)).finally(() => {
      this.#takingOver = undefined;
      this.#options.home.idle(this);
    });
    return this.#takingOver;
  }

  /** Runs something that needs the disk to stand still, flushed, as owner. */
  async frozen<T>(work: (hosted: HostedDisk) => Promise<T>): Promise<T> {
    return this.#serial(async () => {
      const hosted = this.#hosted;
      if (hosted === undefined || !hosted.isOwner) throw this.#notOwner();
      const open = await this.gate.close();
      try {
        await hosted.disk.flush();
        await this.#lease?.settled({ deadlineMs: leaseWaitMs });
        // It was taken by force meanwhile.
        if (!hosted.isOwner) throw this.#notOwner();
        return await work(hosted);
      } finally {
        open();
      }
    });
  }

  /** Changes the files of the disk while nobody has them open; they are opened again whether that succeeds or not. */
  async replaced(change: (folder: DiskFolder) => Promise<void>, open: (folder: DiskFolder) => Promise<HostedDisk>): Promise<void> {
    return this.frozen(async (hosted) => {
      this.#began();
      await this.#completion?.stop();
      this.#record = hosted.record;
      this.#hosted = undefined;
      await this.#refresh();
      await hosted.close();
      try {
        await change(hosted.folder);
      } finally {
        await this.#open(open(hosted.folder)).catch((error: unknown) => {
          this.#reopenLater();
          throw error;
        });
        void this.#refresh();
        this.#complete();
        this.#options.home.changed(this);
      }
    });
  }

  /** Opens what lies here of the disk and serves it. */
  host(open: () => Promise<HostedDisk>): Promise<void> {
    return this.#serial(async () => {
      // Somebody who wanted the disk has opened it already.
      if (this.#hosted === undefined || this.#hosted.isClosed) await this.#adopt(open());
    });
  }

  /** Does something with what this node has of a disk that it does not own; what that opens is served. @throws CopseError `ERR_NOT_OWNER` when this node owns it */
  receive(work: (hosted: HostedDisk | undefined) => Promise<HostedDisk>): Promise<void> {
    return this.#serial(async () => {
      await this.#reopened();
      if (this.isOwner) throw new CopseError('ERR_NOT_OWNER', `disk "${this.record.name}" is owned by the node that was to receive it`);
      const before = this.#hosted;
      const hosted = await work(before);
      if (hosted !== before) await this.#adopt(Promise.resolve(hosted));
    });
  }

  /** Makes it this node's by force. @param make given what this node has of it, makes this node the owner on disk */
  seize(make: (hosted: HostedDisk | undefined) => Promise<HostedDisk>): Promise<void> {
    return this.#serial(async () => {
      this.#began();
      await this.#refresh();
      // What can't be opened is told by who makes it anew.
      await this.#reopened().catch(() => {});
      if (!this.isOwner) await this.#adopt(make(this.#hosted));
    });
  }

  /**
   * The blocks of this node go: nobody needs them, or the disk is removed.
   *
   * @param prepare what is left to be done before; rejects when they are to stay after all. Resolves to what removes the files
   */
  async abandon(prepare: (hosted: HostedDisk) => Promise<() => Promise<void>>): Promise<void> {
    await this.#serial(async () => {
      const hosted = this.#hosted;
      if (hosted === undefined) return;
      const remove = await prepare(hosted);
      this.#record = this.record;
      this.#hosted = undefined;
      this.#settlement.end();
      await Promise.all([this.#refresh(), this.#completion?.stop()]);
      // What is not flushed is not needed.
      await hosted.close().catch(() => {});
      await remove();
      this.#options.home.changed(this);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelReopening?.();
    this.#settlement.close();
    this.#lease?.free();
    await Promise.all([this.#refresh(), this.#completion?.stop()]);
    this.#view.close();
    await this.#hosted?.close();
  }

  async #takeOver(reason: HandoverReason, writer: DiskSession | undefined): Promise<void> {
    if (this.isOwner) return;
    if (this.#closed) throw new ClosedError(`disk "${this.record.name}"`);
    this.#began();
    const takeover = this.#takeover;
    if (takeover === undefined) throw this.#notOwner();
    // What was given away, and not accepted yet, has to be settled first: the other side may be waiting for an answer of this one.
    if (this.#settlement.isOpen) await this.#settlement.settle();
    if (this.isOwner || (await this.#reopened())) return;
    // Blocks of before may be lost. The owner is not asked: it would stop its guests for nothing.
    const loss = this.#hosted?.loss;
    if (loss !== undefined) throw lossError(this.record.name, loss);
    await takeover.run(this.record, reason, writer);
    this.#view.close();
    void this.#refresh();
    this.#complete(restAfterHandoverMs);
    this.#options.home.changed(this);
  }

  async #accept(handover: Handover, giver: NodeRef): Promise<void> {
    // Of a time when this node owned it: what it has of the disk is opened anew.
    await Promise.all([this.#refresh(), this.#completion?.stop()]);
    this.#isAccepting = true;
    try {
      const { state } = this.#hosted ?? {};
      checkHandover(this.#record.uuid, state?.state === 'granted' ? state.epoch : 0, handover);
      // Heard of since the giver was asked: it may not know.
      if (this.#laterThan(handover.epoch) !== undefined) throw this.#notOwner();
      await this.#open(this.#options.home.accept(handover, giver, this.#hosted));
    } catch (error) {
      // It may be this node's durably all the same.
      if (!(await this.#reopened())) throw error;
    } finally {
      this.#isAccepting = false;
    }
  }

  /** Opens what lies here of the disk, where what failed has closed it, or could not open it; whether it is this node's. */
  async #reopened(): Promise<boolean> {
    const { home } = this.#options;
    const { uuid } = this.#record;
    if (this.#hosted !== undefined && !this.#hosted.isClosed) return false;
    this.#hosted = undefined;
    if (this.#closed || !home.hasFiles(uuid)) return false;
    try {
      await this.#open(home.reopen(uuid));
    } catch (error) {
      this.#reopenLater();
      throw error;
    }
    void this.#refresh();
    this.#complete();
    return this.isOwner;
  }

  /** A disk that is here is served as soon as its files can be opened, whether anybody asks for it or not. */
  #reopenLater(): void {
    if (this.#closed || this.#cancelReopening !== undefined) return;
    this.#cancelReopening = this.#options.clock.after(reopenMs, () => {
      this.#cancelReopening = undefined;
      // Where that fails it is tried again.
      this.#serial(() => this.#reopened()).catch(() => {});
    });
  }

  /** It has become this node's by force, or anew, or was here when the node began. */
  async #adopt(opening: Promise<HostedDisk>): Promise<void> {
    await this.#open(opening);
    this.#settlement.end();
    const hosted = this.#hosted;
    // Of a handover that came no further than to the fences.
    if (hosted?.isOwner) this.attachment.readmit(hosted.state.epoch + 1);
    void this.#refresh();
    this.#view.close();
    if (this.isOwner) this.#complete();
    else if (this.#settlement.isOpen) this.#settlement.begin(0);
    this.#options.home.changed(this);
  }

  /** What was opened is this export's, unless the export was closed meanwhile. */
  async #open(opening: Promise<HostedDisk | undefined>): Promise<void> {
    const hosted = await opening;
    if (this.#closed) {
      await hosted?.close().catch(() => {});
      throw new ClosedError(`disk "${this.record.name}"`);
    }
    this.#hosted = hosted;
    this.#followOwner();
  }

  /** A later owner than of that epoch; `by` where a force is proven. */
  #laterThan(epoch: number): { by?: NodeRef } | undefined {
    const { home, notes, peers } = this.#options;
    const { uuid } = this.#record;
    const force = notes.forceOf(uuid);
    if (force !== undefined && force.to > epoch && force.node.id !== peers?.self.id) return { by: force.node };
    const told = home.latest(uuid);
    return told !== undefined && told.epoch > epoch && told.owner.id !== peers?.self.id ? {} : undefined;
  }

  /** The node to which it was granted will never have it. */
  #undone(): void {
    const { name } = this.record;
    void this.#refresh();
    this.#options.log.warn({ disk: name, epoch: this.#hosted?.state.epoch }, 'a handover was undone: the other node never had the disk');
    this.#complete();
    this.#options.home.changed(this);
  }

  /** `files`, or who may change them, may have changed: sessions' native threads follow. */
  #refresh(): Promise<void> {
    this.#followOwner();
    return this.attachment.refresh();
  }

  /** A doubt from here on is about what this step ends with, too: questions that it has asked do not name this disk. */
  #began(): void {
    this.#sinceMs = this.#options.clock.nowMs();
  }

  /** One lease for each epoch of this node. */
  #followOwner(): void {
    const epoch = this.isOwner && !this.#closed ? this.#hosted?.state.epoch : undefined;
    if (this.#lease?.epoch === epoch) return;
    this.#lease?.free();
    this.#lease = epoch === undefined ? undefined : this.#options.leases?.open(epoch, this.#sinceMs);
  }

  /** @throws CopseError `ERR_NOT_OWNER` */
  #granted(to: NodeRef): Handover {
    const { state, record } = this.#hosted ?? {};
    if (
      this.#hosted?.isClosed === false &&
      state?.state === 'granted' &&
      state.to?.id === to.id &&
      !state.to.accepted &&
      record !== undefined
    ) {
      const copy = this.#hosted?.copy;
      const known = copy?.to === to.id ? { copy: copy.id } : {};
      return { epoch: state.epoch + 1, record, nodes: state.nodes, forced: state.forced, ...known };
    }
    throw this.#notOwner();
  }

  #notOwner(): CopseError {
    const { to } = this.#hosted?.state ?? {};
    const where = to === undefined ? 'does not own it' : `handed it to node ${to.id}`;
    return new CopseError('ERR_NOT_OWNER', `disk "${this.record.name}": this node ${where}`);
  }

  /** An idle guest never writes: when the owner's clients are gone and another node's are there, that one is asked to take the disk. */
  #inviteIdle(): void {
    const { peers, log } = this.#options;
    const node = peers?.up().find(({ id }) => id === this.#remote.at(-1));
    if (peers === undefined || node === undefined || !this.isOwner || this.record.handover !== 'auto') return;
    const { uuid, name } = this.record;
    peers.call(node, 'disk.invite', { uuid, reason: 'idle' }).catch((error: unknown) => {
      log.debug({ disk: name, node: node.id, reason: errorMessage(error), code: errorCode(error) }, 'the node does not take the disk yet');
    });
  }

  #complete(delayMs = 0): void {
    const { peers, clock, log, metrics } = this.#options;
    const hosted = this.#hosted;
    if (hosted === undefined || !hosted.isOwner || peers === undefined || this.#closed) return;
    if (Object.keys(hosted.state.nodes).length === 0) return;
    void this.#completion?.stop();
    this.#completion = new Completion({ hosted, peers, requestCount: () => requestCountOf(metrics), clock, log });
    this.#completion.start(delayMs);
  }

  #forgotten(): CopseError {
    return new CopseError('ERR_BUSY', `disk "${this.record.name}" was let go of by this node meanwhile: ask for it again`);
  }

  #serial<T>(step: () => Promise<T>): Promise<T> {
    if (this.#isForgotten) return Promise.reject(this.#forgotten());
    return this.#steps.run(step);
  }
}
