/**
 * For a chunk that this node is asked for as home, by its own guests or by peers: asks those that hold it, then the origin.
 *
 * Invariants: nobody is asked as home; a held request is answered from a store alone: so no request can come back to who made it. The origin is asked only for what no
 * live peer is known to hold, and it is never a hedge.
 */
import { AbortedError, errorCode } from '../../base/error.js';
import type { OriginReadOptions } from '../../origin/origin.js';
import type { HedgeBudget } from '../hedge-budget.js';
import type { Neighbourhood } from '../neighbourhood.js';
import { type Peer, PeerError } from '../peer/peer.js';
import type { SourcedSink } from '../sink.js';
import type { Admission } from '../standing.js';
import type { HolderKnowledge } from './holder-knowledge.js';
import { type PeerReadContext, readPeer } from './peer-read.js';
import { Race } from './race.js';

export interface HomeSourceOptions extends PeerReadContext {
  neighbourhood: Neighbourhood;
  knowledge: HolderKnowledge;
  hedges: HedgeBudget;
  /** The origin, with retries. */
  origin: { read(offset: number, lengthBytes: number, sink: SourcedSink, options: OriginReadOptions): Promise<void> };
}

export class HomeSource {
  readonly #options: HomeSourceOptions;

  constructor(options: HomeSourceOptions) {
    this.#options = options;
  }

  /** Of whole chunks. Errors: the origin's. */
  async read(offset: number, lengthBytes: number, sink: SourcedSink, options: OriginReadOptions): Promise<void> {
    const { content, knowledge, neighbourhood, metrics, origin } = this.#options;
    await knowledge.refresh();
    const end = offset + lengthBytes;
    for (let at = offset; at < end; ) {
      if (options.signal?.aborted) throw new AbortedError(`read of ${content.id}`);
      const run = this.#runFrom(at, end);
      if (run.holders.length > 0) {
        at += await this.#readHolders(at, run.end - at, run.holders, sink, options);
        continue;
      }
      sink.from('origin');
      if (neighbourhood.isCutOff) metrics.cutOffChunks += Math.ceil((run.end - at) / content.chunkBytes);
      await origin.read(at, run.end - at, sink, options);
      at = run.end;
    }
  }

  /** As much from `at` on as the same peers hold, or nobody does. */
  #runFrom(at: number, end: number): { end: number; holders: Peer[] } {
    const { content, knowledge } = this.#options;
    const { chunkBytes } = content;
    const first = Math.floor(at / chunkBytes);
    const last = Math.ceil(end / chunkBytes);
    const holders = this.#holders(first);
    const [best] = holders;
    let chunk = first + 1;
    if (best !== undefined) chunk = first + Math.max(1, knowledge.map.heldRun(best.id, first, last - first));
    else while (chunk < last && this.#holders(chunk).length === 0) chunk += 1;
    return { end: Math.min(end, chunk * chunkBytes), holders };
  }

  #holders(chunkIndex: number): Peer[] {
    const { knowledge, standing } = this.#options;
    return knowledge.holders(chunkIndex).filter((peer) => standing.isTrusted(peer.id));
  }

  /** Resolves to how much of the range the holders gave. Whoever fails is struck from the list, so that the next round asks another, or the origin. */
  async #readHolders(offset: number, lengthBytes: number, holders: Peer[], sink: SourcedSink, options: OriginReadOptions): Promise<number> {
    const { content, standing, metrics } = this.#options;
    const race = new Race(sink);
    sink.from('peer');
    for (const [index, peer] of holders.entries()) {
      if (race.deliveredBytes === lengthBytes) break;
      const others = holders.slice(index + 1);
      try {
        const admission = standing.enter(peer.id);
        if (admission === undefined) throw new PeerError('ERR_PEER_GONE', peer.id, 'it failed too often to be asked now');
        await this.#readHedged(peer, admission, others, { offset, lengthBytes }, race, options);
      } catch (error) {
        if (options.signal?.aborted) throw new AbortedError(`read of ${content.id}`, { cause: error });
        if (errorCode(error) === 'ERR_PEER_ABSENT') metrics.wrongHints += 1;
        else metrics.failovers += 1;
        this.#strike(peer, offset + race.deliveredBytes, lengthBytes - race.deliveredBytes);
      }
    }
    return race.deliveredBytes;
  }

  /** It does not hold what it was thought to hold. */
  #strike(peer: Peer, offset: number, lengthBytes: number): void {
    const { content, knowledge } = this.#options;
    const { chunkBytes } = content;
    const last = Math.ceil((offset + lengthBytes) / chunkBytes);
    for (let chunk = Math.floor(offset / chunkBytes); chunk < last; chunk += 1) knowledge.map.remove(peer.id, chunk);
  }

  /** Reads from one holder, and after the recent p95 from a second one, too. */
  async #readHedged(
    peer: Peer,
    admission: Admission,
    others: readonly Peer[],
    range: { offset: number; lengthBytes: number },
    race: Race,
    options: OriginReadOptions,
  ): Promise<void> {
    const { clock, hedges, metrics, standing } = this.#options;
    const ask = (each: Peer, entered: Admission, signal: AbortSignal): Promise<void> => {
      const doneBytes = race.deliveredBytes;
      const rest = { offset: range.offset + doneBytes, lengthBytes: range.lengthBytes - doneBytes };
      const background = options.priority !== undefined && options.priority !== 'demand';
      return readPeer(this.#options, each, entered, 'readHeld', rest, race.contender(doneBytes), { signal, background });
    };
    const abort = new AbortController();
    const onAbort = (): void => abort.abort();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    if (options.signal?.aborted) abort.abort();
    hedges.earn();
    const p95Ms = metrics.of(peer.id).latency.p95Ms;
    let cancel: (() => void) | undefined;
    try {
      const first = ask(peer, admission, abort.signal);
      if (p95Ms === undefined || options.priority === 'prefetch') return await first;
      const second = new Promise<void>((resolve) => {
        cancel = clock.after(p95Ms, () => {
          const other = others.find((each) => standing.isTrusted(each.id));
          // An unsealed run may have ended inside a chunk; verification needs whole ones.
          if (other === undefined || race.deliveredBytes % this.#options.content.chunkBytes !== 0) return;
          const entered = hedges.trySpend() ? standing.enter(other.id) : undefined;
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
      options.signal?.removeEventListener('abort', onAbort);
    }
  }
}
