/** The other nodes of the cluster, as disks see them, over the peers' NBD. */

import { PeerBlocks } from '../../cluster/peer/peer-blocks.js';
import { callExport, callPeer } from '../../cluster/peer/peer-call.js';
import { PeerDiskView } from '../../cluster/peer/peer-disk.js';
import { mapExport, readPeerMap } from '../../cluster/peer/peer-map.js';
import { ReadyConnections } from '../../cluster/peer/ready-connection.js';
import type { BlockDevice } from '../../device/device.js';
import type { BlockSource, DiskPeers } from '../../disk/peers.js';
import { type AnswerOf, type ArgumentOf, type DiskMethod, diskCalls } from '../../disk/protocol.js';
import type { NodeRef } from '../../disk/record.js';
import type { Cluster } from './cluster.js';

/** A handover waits for the owner's last flush. */
const callMs = 20_000;
/** `disk.handover` and `disk.accepted`. */
const handoverCalls = 2;

export class ClusterDiskPeers implements DiskPeers {
  readonly #cluster: Cluster;
  /** For handovers from nodes whose disks are attached here. */
  readonly #ready = new ReadyConnections();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get self(): NodeRef {
    const { id, address } = this.#cluster.self.record;
    return { id, address };
  }

  isUp(id: string): boolean {
    return this.up().some((node) => node.id === id);
  }

  up(): NodeRef[] {
    return this.#cluster.prober
      .members()
      .flatMap(({ id, address, state }) => (state === 'up' || state === 'draining' ? [{ id, address }] : []));
  }

  async call<M extends DiskMethod>(
    node: NodeRef,
    method: M,
    argument: ArgumentOf<M>,
    options: { timeoutMs?: number } = {},
  ): Promise<AnswerOf<M>> {
    const answer = await callPeer(node, method, argument, {
      timeoutMs: options.timeoutMs ?? callMs,
      ready: this.#ready,
      selfId: this.self.id,
    });
    return diskCalls[method].answer.parse(answer) as AnswerOf<M>;
  }

  view(node: NodeRef, uuid: string, sizeBytes: number): BlockDevice {
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
    return new PeerBlocks({ peer: node, uuid, sizeBytes, selfId: this.self.id });
  }

  map(
    node: NodeRef,
    uuid: string,
    blockCount: number,
    options: { takeChanges: boolean; signal?: AbortSignal | undefined },
  ): Promise<Uint8Array> {
    return readPeerMap(node, uuid, blockCount, { ...options, selfId: this.self.id, ready: this.#ready });
  }

  announce(): void {
    this.#cluster.self.tell();
  }

  /** Calls go on, each over a connection that is made for it. */
  close(): Promise<void> {
    return this.#ready.close();
  }
}
