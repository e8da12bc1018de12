/**
 * A copy of a disk that its owner's migration makes on this node ahead of the handover. Each round
 * brings the blocks that changed since the last one, so the handover finds almost all of them here.
 *
 * Only the handover may rely on the copy: for blocks that were stored and have not changed since.
 * The owner marks all changes for this copy and no other. The copy ends with the process.
 *
 * Invariant: blocks that only this node has, as a former owner, stay as they are.
 */
import type { Clock } from '../../base/clock.js';
import { errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';
import { BlockState, blockBytes } from '../../base/native/overlay.js';
import { pause } from '../../base/pause.js';
import { MiB } from '../../base/size.js';
import { isChanged, nodeIndexOf, stateOf } from '../overlay/block-map.js';
import type { AnswerOf } from '../protocol/call.js';
import type { NodeRef, OwnerState } from '../protocol/record.js';
import type { BlockSource, RemoteNodes } from '../protocol/remote-nodes.js';
import type { HostedDisk } from './hosted-disk.js';

export interface ReplicaOptions {
  hosted: HostedDisk;
  from: NodeRef;
  /** Id that the owner gave this copy. */
  id: string;
  /** The table of the owner's map. */
  nodes: OwnerState['nodes'];
  peers: RemoteNodes;
  /** Runs of the image that the disk's guest has read. */
  touched: readonly [number, number][];
  clock: Clock;
  log: Logger;
}

const pieceBlocks = MiB / blockBytes;
const pieceCount = 4;
/** Delay between two rounds after a small one, in ms. */
const roundMs = 1000;
/** Greatest length of a small round, in bytes. Round `maxRounds` counts as small, too. */
const smallBytes = 16 * MiB;
const maxRounds = 8;

export class Replica {
  readonly #options: ReplicaOptions;
  readonly #end = new AbortController();
  /** Work that is left per block: 0 for none, otherwise the block's state at the owner plus one. */
  readonly #due: Uint8Array;
  readonly #source: BlockSource;
  #state: AnswerOf<'disk.replica'>['state'] = 'copying';
  #message: string | undefined;
  #doneBytes = 0;
  #totalBytes = 0;
  /** Index of this node in the owner's table; -1 means it is not there. */
  readonly #selfIndex: number;
  readonly #running: Promise<void>;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    const { hosted, peers, from, nodes } = options;
    this.#selfIndex = Number(Object.entries(nodes).find(([, { id }]) => id === peers.self.id)?.[0] ?? -1);
    this.#due = new Uint8Array(hosted.blockCount);
    this.#source = peers.blocks(from, hosted.record.uuid, hosted.record.sizeBytes);
    this.#running = this.#run().catch((error: unknown) => this.#fail(error));
  }

  get from(): NodeRef {
    return this.#options.from;
  }

  get id(): string {
    return this.#options.id;
  }

  get progress(): AnswerOf<'disk.replica'> {
    const progress = { state: this.#state, doneBytes: this.#doneBytes, totalBytes: this.#totalBytes };
    return this.#message === undefined ? progress : { ...progress, message: this.#message };
  }

  /**
   * Ends the copying. Resolves when no request is under way.
   *
   * @returns a test that is true for a block which is as the owner had it in the last round
   */
  async stop(): Promise<(block: number) => boolean> {
    this.#end.abort();
    await this.#running;
    await this.#source.close();
    if (this.#state === 'failed') return () => false;
    return (block) => this.#due[block] === 0;
  }

  async #run(): Promise<void> {
    const { hosted, peers, from, touched } = this.#options;
    const { signal } = this.#end;
    const warmed = hosted.base?.warm(touched, signal).catch(() => {});
    for (let round = 1; !signal.aborted; round += 1) {
      // The owner tells a change once. So this call is awaited even if the copying is to end.
      this.#take(await peers.map(from, hosted.record.uuid, hosted.blockCount, { takeChanges: true }));
      const isSmall = this.#totalBytes <= smallBytes || round >= maxRounds;
      await this.#pull();
      if (signal.aborted) break;
      if (isSmall) this.#state = 'following';
      if (isSmall) await pause(this.#options.clock, roundMs, this.#end.signal);
    }
    await warmed;
  }

  #take(states: Uint8Array): void {
    let bytes = 0;
    for (let block = 0; block < states.length; block += 1) {
      const byte = states[block] ?? 0;
      const state = stateOf(byte);
      const isKept = state === BlockState.remote && nodeIndexOf(byte) === this.#selfIndex;
      if (isChanged(byte)) this.#due[block] = isKept ? 0 : state + 1;
      if (this.#due[block] !== 0) bytes += blockBytes;
    }
    this.#doneBytes = 0;
    this.#totalBytes = bytes;
  }

  async #pull(): Promise<void> {
    const { signal } = this.#end;
    const underWay = new Set<Promise<void>>();
    let failure: unknown;
    for (let block = 0; block < this.#due.length && !signal.aborted && failure === undefined; ) {
      const due = this.#due[block] ?? 0;
      if (due === 0) {
        block += 1;
        continue;
      }
      let end = block + 1;
      while (end < this.#due.length && end - block < pieceBlocks && this.#due[end] === due) end += 1;
      while (underWay.size >= pieceCount) await Promise.race(underWay);
      const work: Promise<void> = this.#bring(block, end, due - 1)
        .catch((error: unknown) => {
          failure ??= error;
        })
        .finally(() => underWay.delete(work));
      underWay.add(work);
      block = end;
    }
    await Promise.all(underWay);
    if (failure !== undefined && !signal.aborted) throw failure;
  }

  async #bring(first: number, end: number, state: number): Promise<void> {
    const { overlay } = this.#options.hosted;
    const offset = first * blockBytes;
    const lengthBytes = (end - first) * blockBytes;
    if (state === BlockState.data) {
      const buffer = Buffer.allocUnsafe(lengthBytes);
      await this.#source.read(buffer, offset, { background: true, signal: this.#end.signal });
      await overlay.write(buffer, 0, lengthBytes, offset, undefined);
    } else {
      // Zeros, or blocks that the new owner will fetch from a third node.
      await overlay.zero(offset, lengthBytes, { allocate: false }, undefined);
    }
    this.#due.fill(0, first, end);
    this.#doneBytes += lengthBytes;
  }

  #fail(error: unknown): void {
    // Marks that were taken and did not arrive are lost, even if the copying was to end.
    this.#state = 'failed';
    this.#message = errorMessage(error);
    if (this.#end.signal.aborted) return;
    const { hosted, from, log } = this.#options;
    log.warn(
      { disk: hosted.record.name, from: from.id, reason: this.#message },
      'copying the disk ahead has failed: the handover will fetch all of it afterwards',
    );
  }
}
