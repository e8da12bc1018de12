/**
 * The other nodes of the cluster, as disks see them, over the peers' NBD.
 *
 * Invariant: nobody is asked but members of this cluster, at the addresses that membership has.
 */

import type { MemberView } from '../../cluster/health/member-view.js';
import { PeerError } from '../../cluster/peer.js';
import type { BlockDevice } from '../../device/device.js';
import { type AnswerOf, type ArgumentOf, type DiskMethod, diskCalls } from '../../disk/protocol/call.js';
import { refuseNewerDisk } from '../../disk/protocol/newer-disk.js';
import type { NodeRef } from '../../disk/protocol/record.js';
import type { BlockSource, RemoteNodes } from '../../disk/protocol/remote-nodes.js';
import { PeerBlocks } from './blocks.js';
import { callExport, callPeer } from './call.js';
import { PeerDiskView } from './disk-view.js';
import { mapExport, readPeerMap } from './map.js';
import { ReadyConnections } from './ready-connection.js';

/** A handover waits for the owner's last flush. */
const callMs = 20_000;
/** `disk.handover` and `disk.accepted`. */
const handoverCalls = 2;

/** The cluster as disks need it. */
export interface DiskCluster {
  /** Id and address of this node. */
  readonly self: NodeRef;
  members(): MemberView[];
  /** Tells the members anew what this node owns. */
  announce(): void;
}

export class ClusterDiskPeers implements RemoteNodes {
  readonly #cluster: DiskCluster;
  /** For handovers from nodes whose disks are attached here. */
  readonly #ready = new ReadyConnections();

  constructor(cluster: DiskCluster) {
    this.#cluster = cluster;
  }

  get self(): NodeRef {
    const { id, address } = this.#cluster.self;
    return { id, address };
  }

  isUp(id: string): boolean {
    return this.up().some((node) => node.id === id);
  }

  up(): NodeRef[] {
    return this.#cluster.members().flatMap(({ id, address, state }) => (state === 'up' || state === 'draining' ? [{ id, address }] : []));
  }

  async call<M extends DiskMethod>(
    node: NodeRef,
    method: M,
    argument: ArgumentOf<M>,
    options: { timeoutMs?: number } = {},
  ): Promise<AnswerOf<M>> {
    const answer = await callPeer(this.#target(node), method, argument, {
      timeoutMs: options.timeoutMs ?? callMs,
      ready: this.#ready,
      selfId: this.self.id,
    });
    refuseNewerDisk(answer);
    const parsed = diskCalls[method].answer.parse(answer) as AnswerOf<M>;
    if (isOfAnother(argument, parsed))
      throw new PeerError('ERR_PEER_LIED', node.id, `${method}: it was asked about one disk and answers about another`);
    return parsed;
  }

  view(owner: NodeRef, uuid: string, sizeBytes: number): BlockDevice {
    const node = this.#target(owner);
    const view = new PeerDiskView({ peer: node, uuid, sizeBytes, selfId: this.self.id });
    // Attached from the first moment on: the owner has to know that somebody waits here. What fails is told by the first read.
    view.attach({ deadlineMs: callMs }).catch(() => {});
    // What a handover asks before the first write here is answered.
    const { id: selfId } = this.self;
    const release = [this.#ready.keep(node, callExport(selfId), handoverCalls), this.#ready.keep(node, mapExport(uuid, selfId), 1)];
    view.onEnd(() => {
      for (const end of release) end();
    });
    return view;
  }

  blocks(node: NodeRef, uuid: string, sizeBytes: number): BlockSource {
    return new MemberBlocks(
      () => new PeerBlocks({ peer: this.#target(node), uuid, sizeBytes, selfId: this.self.id }),
      () => this.#target(node).address,
    );
  }

  async map(
    node: NodeRef,
    uuid: string,
    blockCount: number,
    options: { takeChanges: boolean; signal?: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    return readPeerMap(this.#target(node), uuid, blockCount, { ...options, selfId: this.self.id, ready: this.#ready });
  }

  /**
   * The member with that id, where membership says that it is now: addresses in records of disks are other nodes' words.
   *
   * @throws PeerError `ERR_PEER_GONE` when it is no member
   */
  #target({ id, address }: NodeRef): NodeRef {
    const members = this.#cluster.members();
    const member = members.find(
      ({ id: memberId, state }) => memberId === id && (state === 'up' || state === 'draining' || state === 'down'),
    );
    if (member !== undefined) return { id, address: member.address };
    // A static list knows addresses alone: this node was never heard of since the start.
    if (members.some((other) => other.address === address && other.id === address)) return { id, address };
    throw new PeerError('ERR_PEER_GONE', id, 'it is no member of this cluster, as far as this node knows');
  }

  announce(): void {
    this.#cluster.announce();
  }

  /** Calls go on, each over a connection that is made for it. */
  close(): Promise<void> {
    return this.#ready.close();
  }
}

function isOfAnother(argument: object, answer: object): boolean {
  if (!('uuid' in argument) || argument.uuid === undefined || !('record' in answer)) return false;
  return (answer.record as { uuid?: unknown }).uuid !== argument.uuid;
}

/** Blocks of a member, which may come, go and move while the disk is open. */
class MemberBlocks implements BlockSource {
  readonly #open: () => PeerBlocks;
  readonly #addressNow: () => string;
  #current: { blocks: PeerBlocks; address: string } | undefined;

  constructor(open: () => PeerBlocks, addressNow: () => string) {
    this.#open = open;
    this.#addressNow = addressNow;
  }

  async read(...read: Parameters<BlockSource['read']>): Promise<void> {
    const address = this.#addressNow();
    if (this.#current?.address !== address) {
      await this.close();
      this.#current ??= { blocks: this.#open(), address };
    }
    await this.#current.blocks.read(...read);
  }

  async close(): Promise<void> {
    const { blocks } = this.#current ?? {};
    this.#current = undefined;
    await blocks?.close();
  }
}
