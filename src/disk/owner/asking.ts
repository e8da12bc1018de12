/**
 * The questions that the machine has a node put to other nodes about one disk.
 *
 * A guest's first write waits for as little as possible. The owner is asked at the node whose disk
 * the view reads. The writer is noted while the owner hands the disk over.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { Handover, HandoverReason } from '../protocol/call.js';
import { checkUuid } from '../protocol/chain.js';
import type { DiskRecord, NodeRef } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';
import type { DiskSession } from '../session/session.js';
import type { WriterElection } from '../session/writer.js';
import type { DiskDirectory } from './directory.js';
import type { OwnerView } from './owner-view.js';
import type { Decision, Given } from './state.js';

export interface AskingOptions {
  peers: RemoteNodes;
  attachment: WriterElection;
  view: OwnerView;
  home: DiskDirectory;
  clock: Clock;
  log: Logger;
}

/** How long the new owner waits for the former one to hear of it, in ms. */
const confirmMs = 2000;
/** Codes after which the owner is looked for. */
const elsewhere = new Set(['ERR_NOT_OWNER', 'ERR_NO_SUCH_DISK', 'ERR_PEER_GONE', 'ERR_PEER_REFUSED']);

export class Asking {
  readonly #options: AskingOptions;

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  /**
   * Asks the owner to hand the disk over.
   *
   * @throws CopseError `ERR_NOT_OWNER` if this node is said to be the owner, `ERR_PEER_LIED`; the
   * errors of `locate` and of the owner
   */
  async handover(record: DiskRecord, reason: HandoverReason, writer: DiskSession | undefined): Promise<Given> {
    const asked = this.#handover(record, reason);
    this.#expect(record, writer);
    const given = await asked;
    checkUuid(record.uuid, given.handover.record.uuid);
    return given;
  }

  async #handover({ uuid, name }: DiskRecord, reason: HandoverReason): Promise<{ giver: NodeRef; handover: Handover }> {
    const { peers, view, home } = this.#options;
    const ask = async (giver: NodeRef) => ({ giver, handover: await peers.call(giver, 'disk.handover', { uuid, to: peers.self, reason }) });
    const known = view.owner;
    if (known !== undefined) {
      try {
        const asked = await ask(known);
        // An owner that was deposed by force may not know.
        if (asked.handover.epoch > (home.latest(uuid)?.epoch ?? 0)) return asked;
      } catch (error) {
        if (!elsewhere.has(errorCode(error) ?? '')) throw error;
      }
      view.close();
    }
    const giver = await home.locate(uuid, name);
    if (giver.id === peers.self.id) throw new CopseError('ERR_NOT_OWNER', `disk "${name}": this node does not own it`);
    try {
      return await ask(giver);
    } catch (error) {
      if (errorCode(error) !== 'ERR_NO_SUCH_DISK') throw error;
      // It has moved on since it was located, with all its blocks.
      throw new CopseError('ERR_NOT_OWNER', `disk "${name}": node ${giver.id} does not have it any more`, { cause: error });
    }
  }

  /** Asks the taker how a handover ended. @throws CopseError `ERR_OWNER_UNREACHABLE` */
  async resolve({ uuid, name }: DiskRecord, node: NodeRef, epoch: number): Promise<Decision> {
    try {
      return (await this.#options.peers.call(node, 'disk.resolve', { uuid, epoch })).answer;
    } catch (error) {
      throw new CopseError(
        'ERR_OWNER_UNREACHABLE',
        `disk "${name}" was handed to node ${node.id}, which has not said whether it has it: neither node writes to it until ${node.id} answers (${errorMessage(error)})`,
        { cause: error },
      );
    }
  }

  /** Tells the former owner, and promotes the writer. Resolves after both, or after a timeout. */
  async accepted(record: DiskRecord, giver: NodeRef, epoch: number, writer: DiskSession | undefined): Promise<void> {
    await Promise.all([this.#confirm(record, giver, epoch), this.#promote(writer)]);
  }

  async #confirm({ uuid, name }: DiskRecord, giver: NodeRef, epoch: number): Promise<void> {
    const { peers, log, clock } = this.#options;
    const heard = peers.call(giver, 'disk.accepted', { uuid, epoch, by: peers.self });
    await waitFor('the confirmation', heard, { timeoutMs: confirmMs, clock }).catch((error: unknown) => {
      // The other one asks how it ended, and is told then; until it knows it keeps still.
      log.warn({ disk: name, from: giver.id, reason: errorMessage(error) }, 'the former owner did not hear that the disk was accepted');
    });
  }

  /** Notes the client that is about to write. A failure is told when it asks again. */
  #expect({ name }: DiskRecord, writer: DiskSession | undefined): void {
    const { attachment, log } = this.#options;
    if (writer === undefined || !attachment.sessions.has(writer)) return;
    try {
      attachment.expect(writer);
    } catch (error) {
      log.debug({ disk: name, reason: errorMessage(error) }, 'the client that is about to write could not be noted');
    }
  }

  async #promote(writer: DiskSession | undefined): Promise<void> {
    const { attachment } = this.#options;
    if (writer === undefined || !attachment.sessions.has(writer)) return;
    await attachment.promote(writer).catch(() => {});
  }
}
