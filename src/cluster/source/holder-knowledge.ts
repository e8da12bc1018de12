/**
 * Who holds which chunk of one content, as this node knows it: those that it served as their home, and, once a chunk is missed after a change of who is
 * there, what the peers themselves say.
 *
 * All of it are hints: a wrong one costs a hop. When homes have gone (left, draining), their extents have moved to others, which do not know who was served by
 * them: so everybody is asked anew; when peers have come, only they are asked.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { HolderMap } from '../holder-map.js';
import type { Neighbourhood } from '../neighbourhood.js';
import type { CachedRun, Peer, PeerContent, PeerRequestOptions } from '../peer.js';
import type { Placement } from '../placement.js';

/**
 * A peer that does not say in this time what it holds is taken to hold what is known of it already, until it does say it. One that can't be asked is asked again
 * after this time.
 */
const answerMs = 1000;
/** So long after a change others may see the cluster as it was: pings and their timeouts apart. */
const unsettledMs = 4000;
/** Of a chunk, that are supposed to hold it then. */
const formerHomeCount = 2;

export class HolderKnowledge {
  readonly map: HolderMap;
  readonly #content: PeerContent;
  readonly #neighbourhood: Neighbourhood;
  readonly #clock: Clock;
  #revision: number | undefined;
  /** Peers that have been asked since everybody was to be asked anew. */
  readonly #asked = new Map<string, Peer>();
  /** Those of them that have not answered yet. */
  readonly #silent = new Set<Peer>();
  #askAgainAtMs = Number.POSITIVE_INFINITY;
  /** Of the content, when it was last looked. */
  #homes: ReadonlySet<string> = new Set();
  #asking: Promise<void> | undefined;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  readonly #placement: Placement;

  constructor(options: { content: PeerContent; neighbourhood: Neighbourhood; placement: Placement; clock: Clock }) {
    this.#placement = options.placement;
    this.#content = options.content;
    this.#neighbourhood = options.neighbourhood;
    this.#clock = options.clock;
    this.map = new HolderMap(options.content);
  }

  /** Resolves when everybody who is there has been asked, one that does not answer in time left to answer later. Never rejects. */
  async refresh(): Promise<void> {
    while (this.#asking !== undefined || this.#revision !== this.#neighbourhood.revision || this.#clock.nowMs() >= this.#askAgainAtMs) {
      this.#asking ??= this.#askNew().finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
  }

  /** Live peers that may hold the chunk, in the order in which they should be asked. */
  holders(chunkIndex: number): Peer[] {
    return this.map.holders(chunkIndex).flatMap((id) => this.#neighbourhood.peer(id) ?? []);
  }

  /**
   * Shortly after a change others may still have asked who was home before, since everybody was asked: of a range that nobody is known to hold, those are supposed to.
   * As holders they are read from, so that what they just fetch is waited for. `false`: nobody is supposed to hold it.
   */
  suppose(offset: number, lengthBytes: number): boolean {
    if (this.#clock.nowMs() - this.#changedAtMs > unsettledMs) return false;
    const { chunkBytes } = this.#content;
    const first = Math.floor(offset / chunkBytes);
    const count = Math.ceil((offset + lengthBytes) / chunkBytes) - first;
    const hasAnswered = (id: string): boolean => {
      const peer = this.#asked.get(id);
      return peer !== undefined && !this.#silent.has(peer) && this.#neighbourhood.peer(id) !== undefined;
    };
    const former = this.#placement.formerHomes(first).filter(hasAnswered);
    for (const id of former.slice(0, formerHomeCount)) this.map.add(id, first, count);
    return former.length > 0;
  }

  /** What the peer says that it holds of the range; `undefined` when it does not say. Never rejects. */
  async ask(peer: Peer, offset: number, lengthBytes: number, options: PeerRequestOptions = {}): Promise<CachedRun[] | undefined> {
    const end = new AbortController();
    try {
      const answer = peer.cachedRuns(this.#content, offset, lengthBytes, { ...options, signal: end.signal });
      return await waitFor(`what peer ${peer.id} holds`, answer, { timeoutMs: answerMs, clock: this.#clock, signal: options.signal });
    } catch {
      end.abort();
      return undefined;
    }
  }

  async #askNew(): Promise<void> {
    this.#revision = this.#neighbourhood.revision;
    this.#askAgainAtMs = Number.POSITIVE_INFINITY;
    const peers = this.#neighbourhood.holdersOf(this.#content.id);
    const present = new Set(peers.map((peer) => peer.id));
    const gone = [...this.#asked.keys()].filter((id) => !present.has(id));
    const homes = new Set(this.#neighbourhood.homesOf(this.#content.id).map(({ id }) => id));
    const extentsMoved = [...this.#homes].some((id) => !homes.has(id));
    const homesCame = [...homes].some((id) => !this.#homes.has(id));
    if (extentsMoved || homesCame) this.#changedAtMs = this.#clock.nowMs();
    this.#homes = homes;
    if (extentsMoved || gone.length > 0) this.#asked.clear();
    for (const id of gone) this.map.drop(id);
    // One that was restarted is another peer.
    const unasked = peers.filter((peer) => this.#asked.get(peer.id) !== peer);
    for (const peer of unasked) {
      if (this.#asked.has(peer.id)) this.map.drop(peer.id);
      this.#asked.set(peer.id, peer);
    }
    await Promise.all(unasked.map((peer) => this.#ask(peer)));
  }

  /** Resolves with its answer, or when that takes too long: one that was held up for a moment may hold what nobody else does, so a late answer counts, too. Never rejects. */
  async #ask(peer: Peer): Promise<void> {
    this.#silent.add(peer);
    const answered = peer.cachedRuns(this.#content, 0, this.#content.sizeBytes).then(
      (runs) => {
        this.#silent.delete(peer);
        // Gone meanwhile, or another by now.
        if (this.#asked.get(peer.id) !== peer) return;
        // What it was served while it answered is not in its answer: nothing is taken back, a wrong hint costs a hop.
        for (const { first, count } of wholeChunks(runs, this.#content)) this.map.add(peer.id, first, count);
      },
      () => {
        this.#silent.delete(peer);
        if (this.#asked.get(peer.id) !== peer) return;
        this.#asked.delete(peer.id);
        this.#askAgainAtMs = Math.min(this.#askAgainAtMs, this.#clock.nowMs() + answerMs);
      },
    );
    await waitFor(`what peer ${peer.id} holds`, answered, { timeoutMs: answerMs, clock: this.#clock }).catch(() => {});
  }
}

/** The chunks of which all is cached, in runs. */
function wholeChunks(runs: readonly CachedRun[], { sizeBytes, chunkBytes }: PeerContent): { first: number; count: number }[] {
  const chunks: { first: number; count: number }[] = [];
  let at = 0;
  for (const { lengthBytes, cached } of runs) {
    const first = Math.ceil(at / chunkBytes);
    at += lengthBytes;
    const end = at >= sizeBytes ? Math.ceil(sizeBytes / chunkBytes) : Math.floor(at / chunkBytes);
    if (cached && end > first) chunks.push({ first, count: end - first });
  }
  return chunks;
}
