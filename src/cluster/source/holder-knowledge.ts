/**
 * This node's knowledge of the holders of one content's chunks. It comes from serving peers as
 * their home. After a change of the cluster, the first missed chunk makes this node ask the peers
 * themselves.
 *
 * All of it are hints; a wrong one costs a hop. When homes have gone (left, draining), their
 * extents have new homes, which do not know whom the old homes served. So all peers are asked anew.
 * When peers have come, only they are asked.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { HolderMap } from '../holder-map.js';
import type { Neighbourhood } from '../neighbourhood.js';
import type { CachedRun, Peer, PeerContent, PeerRequestOptions } from '../peer.js';
import type { Placement } from '../placement.js';

/**
 * Time for a peer's answer, in ms. After it, the known chunks count until the peer does answer. A
 * peer that can't be asked is asked again after this time.
 */
const answerMs = 1000;
/**
 * Time after a change in which other nodes may see the cluster as it was, in ms, pings and their
 * timeouts apart.
 */
const unsettledMs = 4000;
/** Former homes of a chunk that are supposed to hold it in that time. */
const formerHomeCount = 2;

export class HolderKnowledge {
  readonly map: HolderMap;
  readonly #content: PeerContent;
  readonly #neighbourhood: Neighbourhood;
  readonly #clock: Clock;
  #revision: number | undefined;
  /** Peers that have been asked since the last time that all were to be asked anew. */
  readonly #asked = new Map<string, Peer>();
  /** Those of them that have not answered yet. */
  readonly #silent = new Set<Peer>();
  #askAgainAtMs = Number.POSITIVE_INFINITY;
  /** Homes of the content at the last look. */
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

  /** Resolves when all peers have been asked. A peer that is late answers later. Never rejects. */
  async refresh(): Promise<void> {
    while (this.#asking !== undefined || this.#revision !== this.#neighbourhood.revision || this.#clock.nowMs() >= this.#askAgainAtMs) {
      this.#asking ??= this.#askNew().finally(() => {
        this.#asking = undefined;
      });
      await this.#asking;
    }
  }

  /** @returns live peers that may hold the chunk, in the order in which they should be asked */
  holders(chunkIndex: number): Peer[] {
    return this.map.holders(chunkIndex).flatMap((id) => this.#neighbourhood.peer(id) ?? []);
  }

  /**
   * Takes former homes for holders of a range without a known one. Shortly after a change other
   * nodes may still have asked a former home. This node reads from it, and so waits for what it is
   * just fetching.
   *
   * @returns false if no node is supposed to hold the range
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

  /** @returns the peer's own answer about the range; `undefined` if there is none. Never rejects */
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
    // A peer that was restarted is another peer.
    const unasked = peers.filter((peer) => this.#asked.get(peer.id) !== peer);
    for (const peer of unasked) {
      if (this.#asked.has(peer.id)) this.map.drop(peer.id);
      this.#asked.set(peer.id, peer);
    }
    await Promise.all(unasked.map((peer) => this.#ask(peer)));
  }

  /**
   * Resolves with its answer, or when that takes too long. A peer that was held up for a moment may
   * be the only holder, so a late answer counts, too. Never rejects.
   */
  async #ask(peer: Peer): Promise<void> {
    this.#silent.add(peer);
    const answered = peer.cachedRuns(this.#content, 0, this.#content.sizeBytes).then(
      (runs) => {
        this.#silent.delete(peer);
        // The peer is gone meanwhile, or another one by now.
        if (this.#asked.get(peer.id) !== peer) return;
        // Chunks that the peer was served while it answered are not in its answer. So nothing is
        // taken back; a wrong hint costs a hop.
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

/** @returns the chunks of which all is cached, in runs */
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
