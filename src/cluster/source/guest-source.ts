/**
 * Source of chunks whose home is another node. It asks the home, and after a failure the next node
 * in rendezvous order. When it is this node's turn, or no other node is left, this node acts as
 * home itself.
 *
 * Invariants: a home that gives signs of life is waited for, however slow its origin, for half of a
 * guest's deadline. Chunks that one home delivered are not asked of the next. A prefetch asks one
 * home once.
 */

import { AbortedError, errorCode } from '../../base/error.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { PlacedSink } from '../../block/sink.js';
import { CountingSink } from '../../origin/sink.js';
import type { Neighbourhood } from '../neighbourhood.js';
import type { Peer } from '../peer.js';
import type { Placement } from '../placement.js';
import type { Admission } from '../trust.js';
import { type PeerReadContext, readPeer } from './peer-read.js';

export interface GuestSourceOptions extends PeerReadContext {
  neighbourhood: Neighbourhood;
  placement: Placement;
  /** Reads as this host's own home: from its store, holders, the origin. */
  readAsHome(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void>;
}

export class GuestSource {
  readonly #options: GuestSourceOptions;

  constructor(options: GuestSourceOptions) {
    this.#options = options;
  }

  /**
   * Reads whole chunks inside one extent. Errors: those of `readAsHome`; of a prefetch also those
   * of the home.
   */
  async read(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void> {
    const { metrics } = this.#options;
    const { signal, priority = 'demand' } = options;
    const counting = new CountingSink(sink);
    const tried = new Set<string>();
    for (let next = this.#next(offset, tried); next !== undefined; next = this.#next(offset, tried)) {
      const { peer, admission } = next;
      tried.add(peer.id);
      const doneBytes = counting.deliveredBytes;
      const range = { offset: offset + doneBytes, lengthBytes: lengthBytes - doneBytes };
      sink.from('peer');
      try {
        return await readPeer(this.#options, peer, admission, 'readHome', range, counting, { signal, background: priority !== 'demand' });
      } catch (error) {
        if (signal?.aborted) throw new AbortedError(`read of ${this.#options.content.id}`, { cause: error });
        // A sink that refuses will refuse the bytes of every node.
        if (priority === 'prefetch' || !isOfPeer(error)) throw error;
        if (counting.deliveredBytes === lengthBytes) return;
        metrics.failovers += 1;
      }
    }
    metrics.stoodIn += 1;
    const doneBytes = counting.deliveredBytes;
    const rest: PlacedSink = {
      data: (piece) => counting.data(piece),
      zeroes: (count) => counting.zeroes(count),
      from: (place) => sink.from(place),
    };
    await this.#options.readAsHome(offset + doneBytes, lengthBytes - doneBytes, rest, options);
  }

  /**
   * Repeats a background request in the foreground, because a guest waits now. The home joins both
   * into one.
   */
  promote(offset: number, lengthBytes: number): void {
    const next = this.#next(offset, new Set());
    if (next === undefined) return;
    const { peer, admission } = next;
    peer.cacheHome(this.#options.content, offset, lengthBytes).then(
      () => admission.succeeded(),
      () => admission.ended(),
    );
  }

  /** @returns the next home, or `undefined` if this node is next or no other node is left */
  #next(offset: number, tried: ReadonlySet<string>): { peer: Peer; admission: Admission } | undefined {
    const { placement, neighbourhood, trust, content } = this.#options;
    for (const id of placement.homes(Math.floor(offset / content.chunkBytes))) {
      if (id === neighbourhood.selfId) return undefined;
      if (tried.has(id)) continue;
      const peer = neighbourhood.peer(id);
      const admission = peer === undefined ? undefined : trust.enter(id);
      if (peer !== undefined && admission !== undefined) return { peer, admission };
    }
    return undefined;
  }
}

function isOfPeer(error: unknown): boolean {
  return ['ERR_PEER_GONE', 'ERR_PEER_REFUSED', 'ERR_PEER_ABSENT', 'ERR_PEER_LIED', 'ERR_DIGEST_MISMATCH'].includes(errorCode(error));
}
