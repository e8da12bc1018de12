/**
 * Reads blocks of a disk from the overlay of another node. That node handed the disk over and still
 * has blocks of it, or it owns the disk and this node keeps a replica.
 *
 * Reads that a guest waits for and reads in the background have a connection each, so a copy of the
 * whole disk never delays a guest. A background read is made once, because the copy repeats it.
 *
 * Invariant: after `read` has settled, its target is not written any more.
 *
 * Source: docs/reference/peer-protocol.md, `blocks/UUID`.
 */

import type { PeerTarget } from '../../cluster/peer.js';
import { DiskLink, type DiskLinkTiming } from './disk-link.js';
import { TargetSink } from './target-sink.js';

export interface PeerBlocksOptions extends DiskLinkTiming {
  /** Node that has the blocks. */
  peer: PeerTarget;
  uuid: string;
  /**
   * Size of the disk, in bytes. Disks grow, so the node's overlay may be smaller. A larger one is
   * refused with `ERR_PEER_LIED`.
   */
  sizeBytes: number;
  /** Id of this node. */
  selfId: string;
  /** Time without a request after which a connection is closed, in ms. Default 30 000. */
  idleMs?: number | undefined;
}

export interface PeerBlocksRequest {
  /** Ends the request with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** True if no guest waits for the read: it fails if its connection is lost. */
  background?: boolean | undefined;
  /** Deadline of the read with all attempts to connect, in ms; 0 or absent means none. */
  deadlineMs?: number | undefined;
}

type Priority = 'demand' | 'background';

export class PeerBlocks {
  readonly #options: PeerBlocksOptions;
  readonly #links: Record<Priority, DiskLink>;

  /** Makes no connection. @throws CopseError `ERR_URL` */
  constructor(options: PeerBlocksOptions) {
    this.#options = options;
    this.#links = { demand: this.#link(false), background: this.#link(true) };
  }

  /**
   * Fills all of `target` from `offset`.
   *
   * @throws PeerError, `ERR_ABORTED`, `ERR_CLOSED`. `ERR_PEER_REFUSED` means that the node does not
   *   have all the blocks, can't read them, or knows no such disk
   */
  async read(target: Uint8Array, offset: number, request: PeerBlocksRequest = {}): Promise<void> {
    const { background = false, signal, deadlineMs } = request;
    const sink = new TargetSink(target, offset);
    const what = `blocks of disk ${this.#options.uuid}, ${target.length} bytes at ${offset}`;
    try {
      await this.#links[background ? 'background' : 'demand'].ask(what, { signal, deadlineMs, once: background }, (client) =>
        client.read(offset, target.length, sink, { signal }),
      );
    } finally {
      sink.end();
    }
  }

  /**
   * Ends both connections; for a node whose pings fail. Guests' reads go on, on a new connection.
   *
   * @param reason why, for people
   */
  drop(reason: string): void {
    for (const link of Object.values(this.#links)) link.drop(reason);
  }

  /**
   * Ends it for good, at once: waiting and later reads fail with `ERR_PEER_GONE`.
   *
   * @param reason why, for people
   */
  destroy(reason: string): void {
    for (const link of Object.values(this.#links)) link.destroy(reason);
  }

  /** Awaits the reads under way, and ends it for good. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#links).map((link) => link.close()));
  }

  #link(background: boolean): DiskLink {
    const { uuid, selfId, idleMs = 30_000 } = this.#options;
    return new DiskLink({ ...this.#options, idleMs, mayBeSmaller: true, wanted: { kind: 'blocks', uuid, from: selfId, background } });
  }
}
