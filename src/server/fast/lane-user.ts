/**
 * The lane of one connection as a user of a device's files: it takes grants, and gives them back.
 *
 * Invariant: when `revoke` resolves, no native thread of this lane uses the files any more.
 */
import type { Clock } from '../../base/clock.js';
import type { Logger } from '../../base/log.js';
import type { FastAccess, FastHold, FastOffer, FastUser } from '../../device/device.js';
import type { ReplyMode } from '../../nbd/codec/constant.js';
import type { ExportMetrics } from '../export.js';
import { LaneCounts } from './lane-counts.js';
import { LaneStream } from './lane-stream.js';

export interface LaneUserOptions {
  metrics: ExportMetrics;
  replies: ReplyMode;
  clock: Clock;
  log: Logger;
}

/** Time after which a client that reads nothing may no longer delay a revocation, in ms. */
const maxHeldMs = 1000;

export class LaneUser implements FastUser {
  readonly stream: LaneStream;
  readonly #options: LaneUserOptions;
  readonly #counts: LaneCounts;
  #isStopped = false;
  /** Ends the revocation that is under way. */
  #onQuiet: (() => void) | undefined;

  /**
   * Takes the connection over.
   *
   * @param descriptor duplicated by the lane
   * @param early input that was read before
   * @throws the system's error when the lane can't be made; the connection is as it was
   */
  constructor(descriptor: number, early: Buffer, options: LaneUserOptions) {
    const { replies, metrics } = options;
    this.#options = options;
    this.stream = new LaneStream({
      descriptor,
      replies,
      early,
      onQuiet: () => this.#lookWhetherQuiet(),
      onStopped: () => this.#stopped(),
    });
    this.stream.on('error', () => {});
    this.#counts = new LaneCounts(this.stream.lane, metrics);
  }

  attach(access: FastAccess): FastHold {
    return access.attach(this);
  }

  grant({ overlay, image, writable, lease }: FastOffer): void {
    if (this.#isOver) return;
    try {
      this.stream.lane.grant(overlay, image, writable, lease);
    } catch (error) {
      this.#options.log.error({ err: error }, 'a native lane could not be granted the files of its device');
    }
  }

  async revoke(): Promise<void> {
    if (this.#isStopped || (!this.#isOver && this.stream.lane.grant(undefined, undefined, false))) return;
    await new Promise<void>((resolve) => {
      // A lane that waits for a client or a disk gets its time. The pages that the kernel holds for
      // a
      // client that reads nothing come free when its connection is shut.
      const look = (): void => {
        if (this.#isOver) return;
        if (!this.stream.lane.isStalled()) {
          cancel = this.#options.clock.after(maxHeldMs, look);
          return;
        }
        this.#options.log.info('a client leaves its replies unread and delays a change of its device: its connection is closed');
        this.stream.lane.shut();
      };
      // The first call starts the measurement.
      if (!this.#isOver) this.stream.lane.isStalled();
      let cancel = this.#options.clock.after(maxHeldMs, look);
      this.#onQuiet = () => {
        cancel();
        resolve();
      };
    });
  }

  /** True once the lane is being stopped; `#stopped` follows. */
  get #isOver(): boolean {
    return this.stream.destroyed;
  }

  /** Ends the revocation if the lane is quiet; the event may belong to an earlier grant. */
  #lookWhetherQuiet(): void {
    if (this.stream.lane.isQuiet()) this.#quiet();
  }

  #quiet(): void {
    const onQuiet = this.#onQuiet;
    this.#onQuiet = undefined;
    onQuiet?.();
  }

  #stopped(): void {
    this.#isStopped = true;
    this.#counts.end();
    this.#quiet();
  }
}
