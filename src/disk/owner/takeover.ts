/**
 * How this node becomes a disk's owner by the owner's leave: asks for it, accepts it durably, and tells the owner, before anybody here writes.
 *
 * What a guest's first write waits for is kept short: the owner is the one whose disk the view of this node reads, and who writes is noted while the owner is at it.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { KnownDisk } from '../knowledge/known-disks.js';
import type { Handover, HandoverReason } from '../protocol/call.js';
import type { DiskRecord, NodeRef } from '../protocol/record.js';
import type { DiskPeers } from '../protocol/remote-nodes.js';
import type { Gate } from '../session/gate.js';
import type { DiskSession } from '../session/session.js';
import type { Attachment } from '../session/writer.js';
import type { OwnerView } from './owner-view.js';

export interface TakeoverOptions {
  peers: DiskPeers;
  gate: Gate;
  attachment: Attachment;
  view: OwnerView;
  clock: Clock;
  log: Logger;
  /** Who owns it, as far as this node or any that answers knows. @throws CopseError `ERR_OWNER_UNREACHABLE`, `ERR_NO_SUCH_DISK` */
  locate(uuid: string, name: string): Promise<NodeRef>;
  /** What was told last of the disk, as another node's. */
  latest(uuid: string): KnownDisk | undefined;
  /** Makes this node the owner, durably. Rejects when it is not. */
  accept(handover: Handover, giver: NodeRef): Promise<void>;
  /** Says where the disk went from here: `ERR_NOT_OWNER`. */
  notOwner(): CopseError;
}

/** How long a confirmation may take before the new owner goes on without its having been heard. */
const confirmMs = 2000;
/** The owner is to be looked for. */
const elsewhere = new Set(['ERR_NOT_OWNER', 'ERR_NO_SUCH_DISK', 'ERR_PEER_GONE', 'ERR_PEER_REFUSED']);

export class Takeover {
  readonly #options: TakeoverOptions;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  /**
   * One at a time.
   *
   * @param record of the disk, as this node knows it
   * @param writer whose change is the reason
   * @throws CopseError `ERR_NOT_OWNER` when the owner is said to be this node; what `locate`, the owner and `accept` reject with
   */
  async run(record: DiskRecord, reason: HandoverReason, writer: DiskSession | undefined): Promise<void> {
    const { gate, accept, clock, log } = this.#options;
    const startMs = clock.nowMs();
    const asked = this.#ask(record, reason);
    // While the owner is at it.
    this.#expect(record, writer);
    const { giver, handover } = await asked;
    // Nobody writes before the confirmation.
    const open = await gate.close();
    try {
      await accept(handover, giver);
      await Promise.all([this.#confirm(record, giver, handover), this.#promote(writer)]);
    } finally {
      open();
    }
    const ms = Math.round(clock.nowMs() - startMs);
    log.info({ disk: record.name, from: giver.id, epoch: handover.epoch, reason, ms }, 'taken over');
  }

  /** Asks the owner to hand it over: the one whom the view of this node reads, who need not be looked for. */
  async #ask({ uuid, name }: DiskRecord, reason: HandoverReason): Promise<{ giver: NodeRef; handover: Handover }> {
    const { peers, view, locate, latest, notOwner } = this.#options;
    const ask = async (giver: NodeRef) => ({ giver, handover: await peers.call(giver, 'disk.handover', { uuid, to: peers.self, reason }) });
    const known = view.owner;
    if (known !== undefined) {
      try {
        const asked = await ask(known);
        // An owner that was deposed by force may not know.
        if (asked.handover.epoch > (latest(uuid)?.epoch ?? 0)) return asked;
      } catch (error) {
        if (!elsewhere.has(errorCode(error) ?? '')) throw error;
      }
      view.close();
    }
    const giver = await locate(uuid, name);
    if (giver.id === peers.self.id) throw notOwner();
    try {
      return await ask(giver);
    } catch (error) {
      if (errorCode(error) !== 'ERR_NO_SUCH_DISK') throw error;
      // It has moved on since it was located, with all its blocks.
      throw new CopseError('ERR_NOT_OWNER', `disk "${name}": node ${giver.id} does not have it any more`, { cause: error });
    }
  }

  /** Notes who is about to write. What fails of it is told when it asks again. */
  #expect({ name }: DiskRecord, writer: DiskSession | undefined): void {
    const { attachment, log } = this.#options;
    if (writer === undefined || !attachment.sessions.has(writer)) return;
    try {
      attachment.expect(writer);
    } catch (error) {
      log.debug({ disk: name, reason: errorMessage(error) }, 'who is about to write could not be noted');
    }
  }

  /** Tells the former owner, and waits until it has heard, or for long enough. */
  async #confirm({ uuid, name }: DiskRecord, giver: NodeRef, { epoch }: Handover): Promise<void> {
    const { peers, log, clock } = this.#options;
    const heard = peers.call(giver, 'disk.accepted', { uuid, epoch, by: peers.self });
    await waitFor('the confirmation', heard, { timeoutMs: confirmMs, clock }).catch((error: unknown) => {
      // The other one asks how it ended, and is told then; until it knows it keeps still.
      log.warn({ disk: name, from: giver.id, reason: errorMessage(error) }, 'the former owner did not hear that the disk was accepted');
    });
  }

  /** Makes the session whose write began it the one that writes. What fails of that is told when it asks again. */
  async #promote(writer: DiskSession | undefined): Promise<void> {
    const { attachment } = this.#options;
    if (writer === undefined || !attachment.sessions.has(writer)) return;
    await attachment.promote(writer).catch(() => {});
  }
}
