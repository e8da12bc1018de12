/**
 * Work that goes on with a disk by itself: the lease while this node owns it, the rest of its
 * blocks, and the timers after which the machine is asked again.
 *
 * Invariants: there is one lease for each epoch of this node; after `end` no timer fires.
 */
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { NativeLease } from '../../base/native/lane.js';
import type { ExportMetrics } from '../../server/export.js';
import { Completion, requestCountOf } from '../hosted/completion.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { DiskLease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { NodeRef } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { Work } from './state.js';

export interface UpkeepOptions {
  metrics: ExportMetrics;
  peers: RemoteNodes | undefined;
  /** Absent on a single host. */
  leases: LeaseKeeper<NativeLease> | undefined;
  /** Open files of the disk. */
  hosted(): HostedDisk | undefined;
  isClosed(): boolean;
  /** Asks the machine for work. */
  request(work: Omit<Work, 'phase' | 'id'>): Promise<unknown>;
  clock: Clock;
  log: Logger;
}

/** Delay before the rest of the disk is fetched, in ms. Its guests have waited, and go first. */
const restAfterHandoverMs = 1000;
/** Delay before files that could not be opened are tried again, in ms. */
const reopenMs = 1000;
/** Delay before the taker is asked how a handover ended, and asked again, in ms. */
const settleMs = 1000;

export class Upkeep {
  readonly #options: UpkeepOptions;
  #lease: DiskLease<NativeLease> | undefined;
  /** Time when the present change of owner or files began, or the grant that is undone. */
  #sinceMs: number | undefined;
  #completion: Completion | undefined;
  #cancelSettling: (() => void) | undefined;
  #cancelReopening: (() => void) | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** Lease under which this node answers for the disk; absent on other nodes and a single host. */
  get lease(): DiskLease<NativeLease> | undefined {
    return this.#lease;
  }

  /** Reasons why former owners do not give blocks that only they have, by id. */
  get trouble(): ReadonlyMap<string, string> {
    return this.#completion?.trouble ?? new Map();
  }

  /** True if files that could not be opened wait to be tried again. */
  get isReopening(): boolean {
    return this.#cancelReopening !== undefined;
  }

  /** A change of owner or files begins. A doubt from here on is about its result, too. */
  began(): void {
    this.#sinceMs = this.#options.clock.nowMs();
  }

  /** Owner or epoch may have changed: the lease follows. */
  followOwner(): void {
    const { hosted, isClosed, leases } = this.#options;
    const open = hosted();
    const epoch = open?.isOwner && !isClosed() ? open.state.epoch : undefined;
    if (this.#lease?.epoch === epoch) return;
    this.#lease?.free();
    this.#lease = epoch === undefined ? undefined : leases?.open(epoch, this.#sinceMs);
  }

  /** Brings the blocks that are on other nodes. */
  complete(isDelayed: boolean): void {
    const { peers, clock, log, metrics, isClosed, request } = this.#options;
    const hosted = this.#options.hosted();
    if (hosted === undefined || !hosted.isOwner || peers === undefined || isClosed()) return;
    if (Object.keys(hosted.state.nodes).length === 0) return;
    void this.#completion?.stop();
    const { epoch } = hosted.state;
    const release = async (index: string, node: NodeRef): Promise<void> => {
      await request({ kind: 'released', index, node, epoch });
    };
    this.#completion = new Completion({ hosted, release, requestCount: () => requestCountOf(metrics), clock, log });
    this.#completion.start(isDelayed ? restAfterHandoverMs : 0);
  }

  /** Resolves when no block is on its way. */
  async stopCompletion(): Promise<void> {
    await this.#completion?.stop();
  }

  settleLater(isNow: boolean): void {
    const { peers, clock, isClosed, request } = this.#options;
    this.#cancelSettling?.();
    if (peers === undefined || isClosed()) return;
    // The machine asks for the next look itself.
    this.#cancelSettling = clock.after(isNow ? 0 : settleMs, () => void request({ kind: 'settle' }).catch(() => {}));
  }

  /** A disk that is here is served as soon as its files can be opened, asked for or not. */
  reopenLater(): void {
    const { clock, isClosed, request } = this.#options;
    if (isClosed() || this.#cancelReopening !== undefined) return;
    this.#cancelReopening = clock.after(reopenMs, () => {
      this.#cancelReopening = undefined;
      // Where that fails it is tried again.
      request({ kind: 'reopen' }).catch(() => {});
    });
  }

  /** No timer fires from here on. */
  end(): void {
    this.#cancelReopening?.();
    this.#cancelSettling?.();
  }
}
