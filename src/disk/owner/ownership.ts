/**
 * Ownership of one disk on this node: the machine with its driver, and the hands that carry its
 * effects out on real files, sessions and nodes.
 *
 * Invariants: no code here decides about ownership. Each request ends with the machine's reply or
 * refusal.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { NativeLease } from '../../base/native/lane.js';
import type { ExportMetrics } from '../../server/export.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { Handover } from '../protocol/call.js';
import type { DiskRecord } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { Gate } from '../session/gate.js';
import type { DiskNotes } from '../session/notes.js';
import type { WriterElection } from '../session/writer.js';
import { Asking } from './asking.js';
import type { DiskDirectory } from './directory.js';
import { Driver, type Hands, underWay } from './driver.js';
import { DiskFiles } from './files.js';
import type { OwnerView } from './owner-view.js';
import { refusalError } from './refusal.js';
import { fenceText, reportEffect } from './report.js';
import { isTaking } from './rule.js';
import type { Effect, Facts, Work } from './state.js';
import { Upkeep } from './upkeep.js';
import type { Wish } from './wish.js';

export interface OwnershipOptions {
  record: DiskRecord;
  metrics: ExportMetrics;
  home: DiskDirectory;
  notes: DiskNotes;
  peers: RemoteNodes | undefined;
  /** Absent on a single host. */
  leases: LeaseKeeper<NativeLease> | undefined;
  gate: Gate;
  attachment: WriterElection;
  view: OwnerView;
  /** The disk as it is named and sized now. */
  presentRecord(): DiskRecord;
  clock: Clock;
  log: Logger;
}

interface Request extends Wish {
  readonly startMs: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** How long a handover, or a snapshot, waits for the lease, in ms: longer than the keeper does. */
const leaseWaitMs = 10_000;

export class Ownership implements Hands {
  readonly files: DiskFiles;
  readonly driver: Driver;
  readonly upkeep: Upkeep;
  readonly #options: OwnershipOptions;
  readonly #asking: Asking | undefined;
  readonly #requests = new Map<string, Request>();
  /** Gates that work holds closed, by its key. */
  readonly #gates = new Map<string, Promise<() => void>>();
  #requestCount = 0;

  constructor(options: OwnershipOptions) {
    const { record, home, peers } = options;
    this.#options = options;
    this.upkeep = new Upkeep({
      ...options,
      hosted: () => this.files.hosted,
      isClosed: () => this.driver.volatile.isClosed,
      request: (work) => this.request(work),
    });
    this.files = new DiskFiles({ record, home, peers, onOpen: () => this.upkeep.followOwner() });
    this.#asking = peers && new Asking({ ...options, peers });
    this.driver = new Driver(this);
  }

  get isOwner(): boolean {
    return this.files.hosted?.isOwner ?? false;
  }

  /** True while owner or files change, or wait to be opened. */
  get isBusy(): boolean {
    const { works, queue } = this.driver.volatile;
    return works['job'] !== undefined || queue.length > 0 || this.upkeep.isReopening;
  }

  get isTaking(): boolean {
    return isTaking(this.driver.volatile);
  }

  /** Asks the machine for work. Settles with its reply. */
  request(work: Omit<Work, 'phase' | 'id'>, wish: Wish = {}): Promise<unknown> {
    this.#requestCount += 1;
    const id = String(this.#requestCount);
    const done = new Promise<unknown>((resolve, reject) => {
      this.#requests.set(id, { ...wish, startMs: this.#options.clock.nowMs(), resolve, reject });
      this.driver.dispatch({ kind: 'want', work: { ...work, id } });
    });
    return done.finally(() => {
      this.#requests.delete(id);
      this.idle();
    });
  }

  /** Work that kept the export has ended. */
  idle(): void {
    this.#options.home.idle(this.#options.record.uuid);
  }

  /** Has native threads of sessions follow a change of owner, files or leave to write. */
  refresh(): Promise<void> {
    this.upkeep.followOwner();
    return this.#options.attachment.refresh();
  }

  async close(): Promise<void> {
    this.driver.dispatch({ kind: 'close' });
    this.files.end();
    this.upkeep.end();
    await Promise.all([this.refresh(), this.upkeep.stopCompletion()]);
  }

  facts(): Facts {
    const { home, notes, peers, record } = this.#options;
    const { uuid } = record;
    const { hosted, state } = this.files;
    return {
      file: state,
      get hasFiles() {
        return home.hasFiles(uuid);
      },
      get heldEpoch() {
        return home.durablyHeldEpoch(uuid);
      },
      refusedEpoch: notes.refusedEpoch(uuid),
      force: notes.forceOf(uuid),
      told: home.latest(uuid),
      selfId: peers?.self.id,
      isExplicit: hosted?.record.handover === 'explicit',
      get isLossy() {
        return hosted?.loss !== undefined;
      },
      get hasSnapshots() {
        return hosted !== undefined && hosted.folder.snapshots().length > 0;
      },
    };
  }

  perform(effect: Effect, key: string, work: Work): unknown {
    const result = this.#perform(effect, key, work);
    if (!(result instanceof Promise)) return result;
    result.then(
      (answer: unknown) => this.driver.ended(key, answer),
      (error: unknown) => this.driver.failed(key, error),
    );
    return underWay;
  }

  #perform(effect: Effect, key: string, work: Work): unknown {
    const { notes, home, attachment, gate, view, clock, log } = this.#options;
    const { files, upkeep } = this;
    const { hosted } = files;
    const record = this.#options.presentRecord();
    const { uuid } = record;
    const request = this.#requests.get(work.id);
    switch (effect.kind) {
      case 'persist':
        return files.persist(effect.file, effect.without);
      case 'refuse':
        return notes.refuse(uuid, effect.epoch);
      case 'hold': {
        const { state } = files;
        if (state === undefined || state.state === 'incoming') return undefined;
        return notes.hold(uuid, state.epoch, state.state === 'granted' ? state.to : undefined);
      }
      case 'inherit':
        return files.inherit(effect.giver, work.handover as Handover);
      case 'prepareForce':
        return files.prepareForce(record);
      case 'open':
        return files.open(request?.open);
      case 'reopen':
        return files.reopen();
      case 'reopenLater':
        return upkeep.reopenLater();
      case 'letGo':
        return files.letGo(record);
      case 'closeFiles':
        // Unflushed data of files that are about to be removed is not needed.
        return work.kind === 'remove' ? files.closeLeft().catch(() => {}) : files.closeLeft();
      case 'removeFolder':
        return files.removeLeft();
      case 'endCopy':
        return home.endCopy(uuid).then(() => {});
      case 'fence':
        return attachment.displaceAll(fenceText(effect), effect.epoch);
      case 'readmit':
        return attachment.readmit(effect.epoch);
      case 'closeGate':
      case 'holdGate': {
        const closed = gate.close();
        this.#gates.set(key, closed);
        return effect.kind === 'holdGate' ? undefined : closed.then(() => {});
      }
      case 'openGate':
        void this.#gates.get(key)?.then((open) => open());
        this.#gates.delete(key);
        return undefined;
      case 'flush':
        return hosted?.disk.flush();
      case 'settleLease':
        return upkeep.lease?.settled({ deadlineMs: leaseWaitMs });
      case 'loseLease':
        return upkeep.lease?.lose();
      case 'refreshLanes': {
        const refreshed = this.refresh();
        return effect.isAwaited === true ? refreshed : undefined;
      }
      case 'closeView':
        return view.close();
      case 'began':
        return upkeep.began();
      case 'ask':
        return this.#ask(effect, work, record);
      case 'prove':
        return request?.prove?.() ?? home.prove({ uuid, node: effect.node, epoch: effect.epoch });
      case 'settleLater':
        return upkeep.settleLater(effect.isNow === true);
      case 'announce':
        return home.changed(uuid);
      case 'startCompletion':
        return upkeep.complete(effect.isDelayed === true);
      case 'stopCompletion': {
        const stopped = upkeep.stopCompletion();
        return effect.isAwaited === true ? stopped : undefined;
      }
      case 'check':
        return hosted && request?.check?.(hosted);
      case 'work':
        if (work.kind === 'host' || work.kind === 'receive') return files.adopt(request?.work?.(hosted) as Promise<HostedDisk | undefined>);
        return request?.work?.(hosted ?? files.left);
      case 'report':
        return reportEffect(effect.event, { record, hosted, work, log, sinceMs: request?.startMs ?? 0, nowMs: clock.nowMs() });
      case 'reply':
        return this.#reply(effect, work, record);
      case 'reject':
        return this.#reject(effect, work, record);
    }
  }

  #ask(effect: Extract<Effect, { kind: 'ask' }>, work: Work, record: DiskRecord): Promise<unknown> | undefined {
    const { peers } = this.#options;
    const asking = this.#asking;
    const writer = this.#requests.get(work.id)?.writer;
    if (asking === undefined || peers === undefined) throw new CopseError('ERR_NOT_CLUSTERED', 'this node is in no cluster');
    switch (effect.method) {
      case 'handover':
        return asking.handover(record, work.reason ?? 'take', writer);
      case 'accepted':
        return asking.accepted(record, effect.node, effect.epoch, writer);
      case 'resolve':
        return asking.resolve(record, effect.node, effect.epoch);
      case 'release':
        return peers.call(effect.node, 'disk.release', { uuid: record.uuid, epoch: effect.epoch });
    }
  }

  #reply(effect: Extract<Effect, { kind: 'reply' }>, work: Work, record: DiskRecord): void {
    const { files } = this;
    const request = this.#requests.get(work.id);
    if (effect.answer === 'done') request?.resolve(undefined);
    else if (effect.answer === 'answer') request?.resolve(work.answer);
    else if (effect.answer !== 'handover') request?.resolve(effect.answer);
    else {
      const handover = files.handoverTo(work.node?.id ?? '');
      if (handover === undefined) this.#reject({ kind: 'reject', why: 'not owner' }, work, record);
      else request?.resolve(handover);
    }
  }

  #reject({ why }: Extract<Effect, { kind: 'reject' }>, work: Work, record: DiskRecord): void {
    const { files } = this;
    const refused = { record, file: files.state, loss: files.hosted?.loss, work };
    this.#requests.get(work.id)?.reject(why === 'error' ? work.error : refusalError(why, refused));
  }
}
