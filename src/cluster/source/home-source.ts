/**
 * Source of chunks that this node is asked for as home, by its own guests or by peers. It asks
 * holders, then the origin.
 *
 * Invariants: it asks no node as home, and a held request is answered from a store alone, so no
 * request can come back to its author. The origin is asked only for chunks without a known live
 * holder, and is never a hedge. While it fails, a node that comes to hold the chunk is asked
 * instead.
 */

import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { AbortedError, errorCode } from '../../base/error.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { PlacedSink } from '../../block/sink.js';
import { CountingSink } from '../../origin/sink.js';
import type { HedgeBudget } from '../hedge-budget.js';
import type { Neighbourhood } from '../neighbourhood.js';
import type { Peer } from '../peer.js';
import type { Admission } from '../trust.js';
import type { HolderKnowledge } from './holder-knowledge.js';
import { type PeerReadContext, readPeer } from './peer-read.js';
import { Race } from './race.js';

export interface HomeSourceOptions extends PeerReadContext {
  neighbourhood: Neighbourhood;
  knowledge: HolderKnowledge;
  hedges: HedgeBudget;
  /** The origin, with retries. */
  origin: { read(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void> };
}

export class HomeSource {
  readonly #options: HomeSourceOptions;

  constructor(options: HomeSourceOptions) {
    this.#options = options;
  }

  /** Reads whole chunks. Errors: the origin's. */
  async read(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void> {
    const { content, knowledge, neighbourhood, metrics } = this.#options;
    const end = offset + lengthBytes;
    /** Peers that failed this read. They still hold their chunks, but a guest waits. */
    const failed = new Set<string>();
    let supposedEnd = offset;
    for (let at = offset; at < end; ) {
      // The steps before may have waited for the origin: other peers may have come meanwhile.
      await knowledge.refresh();
      if (options.signal?.aborted) throw new AbortedError(`read of ${content.id}`);
      const run = this.#runFrom(at, end, failed);
      const [holder, ...others] = run.holders;
      if (holder !== undefined) {
        at += await this.#readHolder(at, run.end - at, holder, others, failed, sink, options);
        continue;
      }
      if (supposedEnd < run.end) {
        supposedEnd = run.end;
        if (knowledge.suppose(at, run.end - at)) continue;
      }
      sink.from('origin');
      if (neighbourhood.isCutOff) metrics.cutOffChunks += Math.ceil((run.end - at) / content.chunkBytes);
      at += await this.#readOrigin(at, run.end - at, failed, sink, options);
    }
  }

  /**
   * Resolves to the number of bytes that came: all of the range, or whole chunks if the origin
   * fails and a peer has come to hold the next one. Errors: the origin's.
   */
  async #readOrigin(
    offset: number,
    lengthBytes: number,
    failed: ReadonlySet<string>,
    sink: PlacedSink,
    options: SourceReadOptions,
  ): Promise<number> {
    const { content, knowledge, origin } = this.#options;
    const { signal } = options;
    const counting = new CountingSink(sink);
    const counted: PlacedSink = {
      data: (piece) => counting.data(piece),
      zeroes: (count) => counting.zeroes(count),
      from: (place) => sink.from(place),
    };
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    const onRetry = (): void => {
      options.onRetry?.();
      // The next round knows the peers that came meanwhile.
      void knowledge.refresh();
      const at = offset + counting.deliveredBytes;
      // No chunk is put together from two sources.
      if (at % content.chunkBytes === 0 && this.#holders(at / content.chunkBytes, failed).length > 0) abort.abort();
    };
    watchAbort(signal, onAbort);
    if (signal?.aborted) abort.abort();
    try {
      await origin.read(offset, lengthBytes, counted, { ...options, signal: abort.signal, onRetry });
      return lengthBytes;
    } catch (error) {
      if (signal?.aborted || !abort.signal.aborted) throw error;
      return counting.deliveredBytes;
    } finally {
      unwatchAbort(signal, onAbort);
    }
  }

  /**
   * @returns the longest run from `at` on that the first holder has, or that has no holder. The
   * other holders have all of it, too
   */
  #runFrom(at: number, end: number, failed: ReadonlySet<string>): { end: number; holders: Peer[] } {
    const { content, knowledge } = this.#options;
    const { chunkBytes } = content;
    const first = Math.floor(at / chunkBytes);
    const last = Math.ceil(end / chunkBytes);
    const [best, ...others] = this.#holders(first, failed);
    if (best === undefined) {
      let chunk = first + 1;
      while (chunk < last && this.#holders(chunk, failed).length === 0) chunk += 1;
      return { end: Math.min(end, chunk * chunkBytes), holders: [] };
    }
    const count = Math.max(1, knowledge.map.heldRun(best.id, first, last - first));
    const alike = others.filter(({ id }) => knowledge.map.heldRun(id, first, count) === count);
    return { end: Math.min(end, (first + count) * chunkBytes), holders: [best, ...alike] };
  }

  #holders(chunkIndex: number, failed: ReadonlySet<string>): Peer[] {
    const { knowledge, trust } = this.#options;
    return knowledge.holders(chunkIndex).filter(({ id }) => !failed.has(id) && trust.isTrusted(id));
  }

  /**
   * Resolves to the number of bytes that the holder gave, perhaps none. Then it is among the failed
   * peers, or known to hold less, so the next round asks another one, or the origin.
   */
  async #readHolder(
    offset: number,
    lengthBytes: number,
    holder: Peer,
    others: readonly Peer[],
    failed: Set<string>,
    sink: PlacedSink,
    options: SourceReadOptions,
  ): Promise<number> {
    const { content, trust, metrics } = this.#options;
    const admission = trust.enter(holder.id);
    if (admission === undefined) {
      failed.add(holder.id);
      return 0;
    }
    const race = new Race(sink);
    sink.from('peer');
    try {
      await this.#readHedged(holder, admission, others, { offset, lengthBytes }, race, options);
    } catch (error) {
      if (options.signal?.aborted) throw new AbortedError(`read of ${content.id}`, { cause: error });
      if (errorCode(error) === 'ERR_PEER_ABSENT') {
        metrics.wrongHints += 1;
        await this.#correct(holder, offset + race.deliveredBytes, lengthBytes - race.deliveredBytes, options);
      } else {
        metrics.failovers += 1;
        failed.add(holder.id);
      }
    }
    return race.deliveredBytes;
  }

  /**
   * Corrects the knowledge of a holder that does not hold the whole run. For more than one chunk it
   * asks the peer which of them it holds, because the others may be in no other cache. Afterwards
   * less of the range is known to be held.
   */
  async #correct(peer: Peer, offset: number, lengthBytes: number, { signal, priority = 'demand' }: SourceReadOptions): Promise<void> {
    const { content, knowledge } = this.#options;
    const { map } = knowledge;
    const first = Math.floor(offset / content.chunkBytes);
    const count = Math.ceil(lengthBytes / content.chunkBytes);
    if (count > 1) {
      const runs = await knowledge.ask(peer, offset, lengthBytes, { signal, background: priority !== 'demand' });
      if (runs !== undefined) map.set(peer.id, runs, offset);
      if (map.heldRun(peer.id, first, count) < count) return;
    }
    for (let chunk = first; chunk < first + count; chunk += 1) map.remove(peer.id, chunk);
  }

  /** Reads from one holder, and after the recent p95 from a second one, too. */
  async #readHedged(
    peer: Peer,
    admission: Admission,
    others: readonly Peer[],
    range: { offset: number; lengthBytes: number },
    race: Race,
    options: SourceReadOptions,
  ): Promise<void> {
    const { clock, hedges, metrics, trust } = this.#options;
    const ask = (each: Peer, entered: Admission, signal: AbortSignal): Promise<void> => {
      const doneBytes = race.deliveredBytes;
      const rest = { offset: range.offset + doneBytes, lengthBytes: range.lengthBytes - doneBytes };
      const background = options.priority !== undefined && options.priority !== 'demand';
      return readPeer(this.#options, each, entered, 'readHeld', rest, race.contender(doneBytes), { signal, background });
    };
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    watchAbort(options.signal, onAbort);
    if (options.signal?.aborted) abort.abort();
    hedges.earn();
    const p95Ms = metrics.of(peer.id).latency.p95Ms;
    let cancel: (() => void) | undefined;
    try {
      const first = ask(peer, admission, abort.signal);
      if (p95Ms === undefined || options.priority === 'prefetch') return await first;
      const second = new Promise<void>((resolve) => {
        cancel = clock.after(p95Ms, () => {
          const other = others.find((each) => trust.isTrusted(each.id));
          // An unsealed run may have ended inside a chunk; verification needs whole ones.
          if (other === undefined || race.deliveredBytes % this.#options.content.chunkBytes !== 0) return;
          const entered = hedges.trySpend() ? trust.enter(other.id) : undefined;
          if (entered === undefined) return;
          metrics.hedges += 1;
          ask(other, entered, abort.signal).then(
            () => {
              metrics.hedgeWins += 1;
              resolve();
            },
            () => {
              // The first one goes on.
            },
          );
        });
      });
      await Promise.race([first, second]);
    } finally {
      cancel?.();
      abort.abort();
      unwatchAbort(options.signal, onAbort);
    }
  }
}
