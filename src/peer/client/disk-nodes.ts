/**
 * Implements `RemoteNodes` over NBD: the disks of this node call other nodes, open views of disks
 * that other nodes own, and read blocks and maps from them.
 *
 * While a view is open it keeps connections ready for the calls of a handover, because a guest's
 * first write waits for those.
 *
 * Invariants: only members of this cluster are asked, at the addresses of the membership. An
 * address in a disk's record is another node's word, and is used only for a listed member whose id
 * is not known yet.
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

/** Timeout of a call, in ms. A handover waits for the owner's last flush. */
const callMs = 20_000;
/** Calls of one handover: `disk.handover` and `disk.accepted`. */
const handoverCalls = 2;

/** The part of the cluster that disks need. */
export interface DiskCluster {
  /** Id and address of this node. */
  readonly self: NodeRef;
  members(): MemberView[];
  /** Tells the members which disks this node owns now. */
  announce(): void;
}

export class ClusterDiskPeers implements RemoteNodes {
  readonly #cluster: DiskCluster;
  /** Connections for handovers from the owners of disks that are attached here. */
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
      throw new PeerError('ERR_PEER_LIED', node.id, `${method}: the node was asked about one disk and answered about another`);
    return parsed;
  }

  view(owner: NodeRef, uuid: string, sizeBytes: number): BlockDevice {
    const node = this.#target(owner);
    const view = new PeerDiskView({ peer: node, uuid, sizeBytes, selfId: this.self.id });
    // The owner counts this node as attached from the first moment on. If attaching fails, the
    // first read says why.
    view.attach({ deadlineMs: callMs }).catch(() => {});
    // A handover to this node needs them before the first write here is answered.
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
   * Finds the member with that id, and its address in the membership.
   *
   * @throws PeerError `ERR_PEER_GONE` if it is not a member
   */
  #target({ id, address }: NodeRef): NodeRef {
    const members = this.#cluster.members();
    const member = members.find(
      ({ id: memberId, state }) => memberId === id && (state === 'up' || state === 'draining' || state === 'down'),
    );
    if (member !== undefined) return { id, address: member.address };
    // A static list has addresses alone. This address has not told its id since the start.
    if (members.some((other) => other.address === address && other.id === address)) return { id, address };
    throw new PeerError(
      'ERR_PEER_GONE',
      id,
      'it is not a member of this cluster, as far as this node knows ("copse cluster status" lists the members)',
    );
  }

  announce(): void {
    this.#cluster.announce();
  }

  /** Ends the prepared connections. Calls go on, each over a connection of its own. */
  close(): Promise<void> {
    return this.#ready.close();
  }
}

/** True if the answer's record is of another disk than the argument's. */
function isOfAnother(argument: object, answer: object): boolean {
  if (!('uuid' in argument) || argument.uuid === undefined || !('record' in answer)) return false;
  return (answer.record as { uuid?: unknown }).uuid !== argument.uuid;
}

/** Blocks of a member, which may leave, return, and change its address while the disk is open. */
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
