/**
 * One content in the cluster: the homes and holders of its chunks, the peers that lied about them,
 * and the two sources that its cache draws from.
 *
 * guest path GuestSource the chunk's home, the next one, …, this node as home home path HomeSource
 * holders, then the origin
 *
 * Zero chunks of a sealed content are never fetched.
 */

import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import type { SourceReadOptions } from '../block/read-options.js';
import type { PlacedSink } from '../block/sink.js';
import { withKnownZeroes } from '../manifest/known-zeroes.js';
import type { ChunkVerifier } from '../manifest/verifier.js';
import type { Breaker } from './breaker.js';
import { ClusterMetrics } from './cluster-metrics.js';
import type { HedgeBudget } from './hedge-budget.js';
import type { Neighbourhood } from './neighbourhood.js';
import type { PeerContent } from './peer.js';
import { extentBytes, Placement } from './placement.js';
import { GuestSource } from './source/guest-source.js';
import { HolderKnowledge } from './source/holder-knowledge.js';
import { HomeSource } from './source/home-source.js';
import { Trust } from './trust.js';

/** A source that delivers a range in order. Both paths draw from such sources. */
export interface ClusterSource {
  read(offset: number, lengthBytes: number, sink: PlacedSink, options: SourceReadOptions): Promise<void>;
  promote?(offset: number, lengthBytes: number): void;
}

export interface ClusteredContentOptions {
  content: PeerContent;
  /** Name for the log. */
  name: string;
  neighbourhood: Neighbourhood;
  breakerOf(peerId: string): Breaker;
  hedges: HedgeBudget;
  /** Verifier of a sealed content. */
  verifier: ChunkVerifier | undefined;
  /** The origin with retries, and verified if there is a manifest. */
  origin: ClusterSource;
  /** Reads from this node's own cache in the role of a home. */
  readAsHome: ClusterSource['read'];
  clock: Clock;
  log: Logger;
}

export class ClusteredContent {
  readonly content: PeerContent;
  readonly metrics: ClusterMetrics;
  readonly placement: Placement;
  readonly knowledge: HolderKnowledge;
  readonly trust: Trust;
  /** Source of the home path. */
  readonly homeSource: ClusterSource;
  /** Source of the guest path. */
  readonly guestSource: ClusterSource;
  readonly #neighbourhood: Neighbourhood;

  constructor(options: ClusteredContentOptions) {
    const { content, neighbourhood, clock, verifier, log, name, breakerOf } = options;
    const metrics = new ClusterMetrics(clock);
    this.metrics = metrics;
    this.content = content;
    this.#neighbourhood = neighbourhood;
    const placement = new Placement(content, neighbourhood);
    this.placement = placement;
    this.knowledge = new HolderKnowledge({ content, neighbourhood, placement, clock });
    this.trust = new Trust({ name, neighbourhood, breakerOf, metrics, clock, log });
    const { knowledge, trust } = this;
    const shared = { content, trust, metrics, verifier, clock, neighbourhood };
    const { hedges, origin, readAsHome } = options;
    this.homeSource = withKnownZeroes(new HomeSource({ ...shared, knowledge, hedges, origin }), verifier);
    this.guestSource = withKnownZeroes(new GuestSource({ ...shared, placement, readAsHome }), verifier);
  }

  /** Chunks from one multiple of this number to the next have one home. */
  get extentChunks(): number {
    return Math.max(1, extentBytes / this.content.chunkBytes);
  }

  /** True if this node fetches the chunk itself: as its home, or because no other node can. */
  isHome(chunkIndex: number): boolean {
    const home = this.placement.homeOf(chunkIndex);
    return home === undefined || home === this.#neighbourhood.selfId;
  }

  /**
   * Notes that a peer was given a range. Peers read whole chunks in order, so it holds the chunks
   * that end in the range.
   */
  onServed(peerId: string, offset: number, lengthBytes: number): void {
    const { chunkBytes, sizeBytes } = this.content;
    const end = offset + lengthBytes;
    const first = Math.floor(offset / chunkBytes);
    const last = end >= sizeBytes ? Math.ceil(sizeBytes / chunkBytes) : Math.floor(end / chunkBytes);
    if (last > first) this.knowledge.map.add(peerId, first, last - first);
  }
}
