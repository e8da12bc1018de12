/**
 * How a handover ended of which nothing more was heard: asks the node to which the disk was granted, until that has said whether it has it.
 *
 * Invariant: the disk is taken back only on the other node's durable promise never to accept it, and not while this
 * node knows of an owner under a later epoch: the disk was taken by force meanwhile.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError, errorMessage } from '../../base/error.js';
import type { HostedDisk } from '../hosted/hosted-disk.js';
import type { NodeRef } from '../protocol/record.js';
import type { DiskPeers } from '../protocol/remote-nodes.js';

export interface SettlementOptions {
  peers: DiskPeers | undefined;
  clock: Clock;
  hosted(): HostedDisk | undefined;
  /** Whether this node is becoming the owner just now, under another epoch. */
  isAccepting(): boolean;
  /** A later owner than of that epoch, as far as this node has heard; `by` where the record of the force is proven. */
  laterThan(epoch: number): { by?: NodeRef | undefined } | undefined;
  onAccepted(epoch: number, by: NodeRef): void;
  /** The handover to that epoch will never be accepted, and is about to be undone. */
  onRefused(epoch: number): void;
  /** It was undone: the disk is this node's again, durably, under a new epoch. */
  onUndone(): void;
}

/** Until the other side is asked, and asked again. */
const settleMs = 1000;

export class Settlement {
  readonly #options: SettlementOptions;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** Whether the disk was granted, and the other node has not said that it has it. */
  get isOpen(): boolean {
    return this.#options.hosted()?.state.to?.accepted === false;
  }

  /** Goes on by itself until it is settled. */
  begin(delayMs = settleMs): void {
    this.end();
    const { clock, peers } = this.#options;
    if (peers === undefined || this.#closed) return;
    this.#cancel = clock.after(delayMs, () => {
      this.settle()
        .catch(() => {})
        .finally(() => {
          if (this.isOpen) this.begin();
        });
    });
  }

  end(): void {
    this.#cancel?.();
  }

  close(): void {
    this.#closed = true;
    this.end();
  }

  /** Asks once. @throws CopseError `ERR_OWNER_UNREACHABLE` */
  async settle(): Promise<void> {
    const { peers, onAccepted, onRefused, onUndone } = this.#options;
    const hosted = this.#options.hosted();
    if (hosted === undefined || hosted.state.state !== 'granted' || peers === undefined) return;
    const { to, epoch } = hosted.state;
    if (to === undefined || to.accepted) return;
    const { uuid, name } = hosted.record;
    let answer: string;
    try {
      ({ answer } = await peers.call(to, 'disk.resolve', { uuid, epoch: epoch + 1 }));
    } catch (error) {
      throw new CopseError(
        'ERR_OWNER_UNREACHABLE',
        `disk "${name}" was handed to node ${to.id}, which has not said whether it has it: neither node writes to it until ${to.id} answers (${errorMessage(error)})`,
        { cause: error },
      );
    }
    // It may have been heard of in another way meanwhile.
    if (this.#closed || this.#options.hosted() !== hosted || !this.isOpen || hosted.state.epoch !== epoch) return;
    if (this.#options.isAccepting()) return;
    if (answer === 'accepted') onAccepted(epoch + 1, to);
    if (answer !== 'refused') return;
    const later = this.#options.laterThan(epoch + 1);
    if (later !== undefined) {
      const { by } = later;
      if (by !== undefined) hosted.folder.setState({ ...hosted.state, to: { ...by, accepted: true, free: true } });
      return;
    }
    onRefused(epoch + 1);
    const { to: _to, ...state } = hosted.state;
    hosted.folder.setState({ ...state, state: 'owner', epoch: epoch + 2 });
    onUndone();
  }
}
