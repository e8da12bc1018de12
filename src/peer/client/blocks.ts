/**
 * The blocks of a disk that lie in another node's overlay: what it had when it handed the disk over, or, for a replica, what its owner has now.
 *
 * What a guest waits for and what is only brought have a connection each.
 *
 * Source: docs/reference/peer-protocol.md, `blocks/UUID`.
 */

import type { PeerTarget } from '../../cluster/peer.js';
import { DiskLink, type DiskLinkTiming } from './disk-link.js';
import { TargetSink } from './target-sink.js';

export interface PeerBlocksOptions extends DiskLinkTiming {
  /** Who has the blocks. */
  peer: PeerTarget;
  uuid: string;
  /** Of the disk. The node's overlay may be smaller, since disks grow; a larger one is a lie. */
  sizeBytes: number;
  /** This node. */
  selfId: string;
  /** So long without a request, and a connection is closed. Default 30 000. */
  idleMs?: number | undefined;
}

export interface PeerBlocksRequest {
  /** Ends the request with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Nobody waits for it: on a connection of its own, and asked once; a lost connection is the answer. */
  background?: boolean | undefined;
  /** In milliseconds, reconnecting included; 0 or absent: for ever. */
  deadlineMs?: number | undefined;
}

type Lane = 'demand' | 'background';

export class PeerBlocks {
  readonly #options: PeerBlocksOptions;
  readonly #links: Record<Lane, DiskLink>;

  /** Contacts nobody. @throws CopseError `ERR_URL` */
  constructor(options: PeerBlocksOptions) {
    this.#options = options;
    this.#links = { demand: this.#link(false), background: this.#link(true) };
  }

  /**
   * Fills all of `target` from `offset`.
   *
   * @throws PeerError (`ERR_PEER_REFUSED`: some of it is not there, or can't be read, or the node knows no such disk), `ERR_ABORTED`, `ERR_CLOSED`
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

  /** Ends the connections, for who knows that the node does not answer (its pings fail). What guests wait for goes on on the next one. */
  drop(reason: string): void {
    for (const link of Object.values(this.#links)) link.drop(reason);
  }

  /** Ends it for good, and at once: whoever waits fails with `ERR_PEER_GONE`. @param reason why, for people */
  destroy(reason: string): void {
    for (const link of Object.values(this.#links)) link.destroy(reason);
  }

  /** Ends it after what is under way. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(Object.values(this.#links).map((link) => link.close()));
  }

  #link(background: boolean): DiskLink {
    const { uuid, selfId, idleMs = 30_000 } = this.#options;
    return new DiskLink({ ...this.#options, idleMs, mayBeSmaller: true, wanted: { kind: 'blocks', uuid, from: selfId, background } });
  }
}
