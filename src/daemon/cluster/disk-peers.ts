/** The other nodes of the cluster, as disks see them, over the peers' NBD. */

import { PeerBlocks } from '../../cluster/peer/peer-blocks.js';
import { callPeer } from '../../cluster/peer/peer-call.js';
import { PeerDiskView } from '../../cluster/peer/peer-disk.js';
import { readPeerMap } from '../../cluster/peer/peer-map.js';
import type { BlockDevice } from '../../device/device.js';
import type { BlockSource, DiskPeers } from '../../disk/peers.js';
import { type AnswerOf, type ArgumentOf, type DiskMethod, diskCalls } from '../../disk/protocol.js';
import type { NodeRef } from '../../disk/record.js';
import type { Cluster } from './cluster.js';

/** A handover waits for the owner's last flush. */
const callMs = 20_000;

export class ClusterDiskPeers implements DiskPeers {
  readonly #cluster: Cluster;

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
    const answer = await callPeer(node, method, argument, { timeoutMs: options.timeoutMs ?? callMs });
    return diskCalls[method].answer.parse(answer) as AnswerOf<M>;
  }

  view(node: NodeRef, uuid: string, sizeBytes: number): BlockDevice {
    const view = new PeerDiskView({ peer: node, uuid, sizeBytes, selfId: this.self.id });
    // Attached from the first moment on: the owner has to know that somebody waits here. What fails is told by the first read.
    view.attach({ deadlineMs: callMs }).catch(() => {});
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
    return readPeerMap(node, uuid, blockCount, { ...options, selfId: this.self.id });
  }

  announce(): void {
    this.#cluster.self.tell();
  }
}
