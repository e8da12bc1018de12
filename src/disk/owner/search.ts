/**
 * Finds the owner of a disk: along the grants that this node knows, then by asking all nodes.
 *
 * Invariants: an owner under an earlier epoch than this node was told of is passed over. A node
 * that was given the disk back and has not accepted it is led to its giver. The giver answers the
 * same again.
 */
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import type { KnownDisks } from '../knowledge/known-disks.js';
import type { AnswerOf } from '../protocol/call.js';
import { type DiskRecord, type NodeRef, type OwnerState, olderFirst } from '../protocol/record.js';
import type { RemoteNodes } from '../protocol/remote-nodes.js';

export interface DiskSearchOptions {
  peers: RemoteNodes | undefined;
  known: KnownDisks;
  /** Owner file of a disk whose files are here. */
  stateOf(uuid: string): OwnerState | undefined;
  /** Last epoch under which this node owned the disk. */
  heldEpoch(uuid: string): number;
  log: Logger;
}

/** A disk that some node knows, and its owner, unless it is between two nodes. */
export interface FoundDisk {
  record: DiskRecord;
  owner?: { node: NodeRef; epoch: number };
}

/** How often ownership is followed from node to node before the search is given up. */
const maxHops = 8;
/** Deadline for one answer, in ms. */
const askMs = 2000;

export class DiskSearch {
  readonly #options: DiskSearchOptions;

  constructor(options: DiskSearchOptions) {
    this.#options = options;
  }

  /** Finds the owner. @throws CopseError `ERR_OWNER_UNREACHABLE` */
  async locate(uuid: string, name: string): Promise<NodeRef> {
    const { peers, known } = this.#options;
    if (peers === undefined)
      throw new CopseError('ERR_OWNER_UNREACHABLE', `disk "${name}" is on another node, and this node is in no cluster`);
    const state = this.#options.stateOf(uuid);
    const told = known.get(uuid);
    const selfId = peers.self.id;
    let node = state?.to;
    if (told !== undefined && told.owner.id !== selfId && (state === undefined || told.epoch > state.epoch + 1)) {
      node = { ...told.owner, accepted: true };
    }
    const minEpoch = told?.epoch ?? 0;
    const followed = await this.#follow(peers, node, uuid, minEpoch);
    if (followed.owner !== undefined) return followed.owner;
    const { trouble } = followed;
    const owner = (await this.ask({ uuid }))?.owner;
    if (owner !== undefined && owner.epoch >= minEpoch) return owner.node;
    const last = known.get(uuid)?.owner.id ?? state?.to?.id;
    const why = trouble === undefined ? '' : ` (${errorMessage(trouble)})`;
    throw new CopseError(
      'ERR_OWNER_UNREACHABLE',
      last === undefined
        ? `disk "${name}": no node that answers owns it`
        : `disk "${name}" is owned by node ${last}, which does not answer: its blocks are there, so it can't be had before that node is back${why}`,
    );
  }

  /** Follows the grants from node to node. */
  async #follow(
    peers: RemoteNodes,
    first: NodeRef | undefined,
    uuid: string,
    minEpoch: number,
  ): Promise<{ owner?: NodeRef; trouble?: unknown }> {
    let node = first;
    let latestEpoch = 0;
    for (let hop = 0; node !== undefined && hop < maxHops; hop += 1) {
      let answer: AnswerOf<'disk.describe'>;
      try {
        answer = await peers.call(node, 'disk.describe', { uuid }, { timeoutMs: askMs });
      } catch (trouble) {
        return { trouble };
      }
      // What an owner does not know that lost the disk by force.
      if (answer.state === 'owner' && answer.epoch < minEpoch) break;
      if (answer.state === 'owner') return { owner: this.#learn(node, answer) };
      // It answers the same again.
      if (this.#isForThisNode(answer) && answer.epoch + 1 >= minEpoch) return { owner: node };
      // The node has handed the disk on, was given it again since, and has not accepted it yet.
      if (answer.epoch < latestEpoch) break;
      latestEpoch = answer.epoch;
      node = answer.to?.id === peers.self.id ? undefined : answer.to;
    }
    return {};
  }

  /**
   * Asks all nodes that answer for the owner of the disk.
   *
   * @throws CopseError `ERR_DISK_FORMAT` if all answering nodes have it in a format that this
   *   version does not know
   */
  async ask(question: { name: string } | { uuid: string }): Promise<FoundDisk | undefined> {
    const { peers } = this.#options;
    if (peers === undefined) return undefined;
    let newer: unknown;
    const answers = await Promise.all(
      peers.up().map(async (node) => {
        try {
          return { node, answer: await peers.call(node, 'disk.describe', question, { timeoutMs: askMs }) };
        } catch (error) {
          if (errorCode(error) === 'ERR_DISK_FORMAT') newer = error;
          if (errorCode(error) !== 'ERR_NO_SUCH_DISK')
            this.#options.log.debug({ node: node.id, reason: errorMessage(error) }, 'no word of a disk from there');
          return undefined;
        }
      }),
    );
    // The latest word counts: of the owner, or of the node that handed the disk to this one.
    const found = answers.flatMap((one) => {
      if (one?.answer.state === 'owner') return [{ ...one, epoch: one.answer.epoch }];
      return one !== undefined && this.#isForThisNode(one.answer) ? [{ ...one, epoch: one.answer.epoch + 1 }] : [];
    });
    const oldest = found.map(({ answer }) => answer.record).sort(olderFirst)[0]?.uuid;
    const [best] = found.filter(({ answer }) => answer.record.uuid === oldest).sort((left, right) => right.epoch - left.epoch);
    if (best === undefined && newer !== undefined) throw newer;
    if (best === undefined) return this.#onItsWay(peers, answers);
    return { record: best.answer.record, owner: { node: this.#learn(best.node, best.answer), epoch: best.epoch } };
  }

  /** It was handed to this node, which has not accepted it yet. */
  #isForThisNode({ state, to, epoch, record }: AnswerOf<'disk.describe'>): boolean {
    return state === 'granted' && to?.id === this.#options.peers?.self.id && epoch >= this.#options.heldEpoch(record.uuid);
  }

  #learn(node: NodeRef, { record, epoch, dataBytes, forced }: AnswerOf<'disk.describe'>): NodeRef {
    const { id, address } = node;
    this.#options.known.offer({ record, owner: { id, address }, epoch, dataBytes, forced });
    return { id, address };
  }

  /** Finds a disk between two nodes: its old owner was asked too late, its new one too early. */
  async #onItsWay(peers: RemoteNodes, answers: ({ answer: AnswerOf<'disk.describe'> } | undefined)[]): Promise<FoundDisk | undefined> {
    const { known } = this.#options;
    const granted = answers.flatMap((one) => (one?.answer.to === undefined ? [] : [one.answer]));
    const [latest] = granted.sort((left, right) => right.epoch - left.epoch);
    if (latest?.to === undefined || latest.to.id === peers.self.id) return undefined;
    const { record, to, dataBytes, forced } = latest;
    const epoch = latest.epoch + 1;
    const { owner } = await this.#follow(peers, to, record.uuid, epoch);
    if (owner !== undefined) return { record, owner: { node: owner, epoch: known.get(record.uuid)?.epoch ?? epoch } };
    if (to.accepted !== false) return undefined;
    // It is there in a moment, or back at its old place.
    known.offer({ record, owner: { id: to.id, address: to.address }, epoch, dataBytes, forced });
    return { record };
  }
}
