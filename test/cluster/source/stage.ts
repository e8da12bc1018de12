/** One node's part in a scripted cluster: peers that answer as told, an origin that counts, and the real decisions between them. */

import { silentLogger } from '../../../src/base/log.js';
import type { SourceReadOptions } from '../../../src/block/read-options.js';
import type { PlacedSink, RangeSink } from '../../../src/block/sink.js';
import { Breaker } from '../../../src/cluster/breaker.js';
import { ClusteredContent } from '../../../src/cluster/clustered-content.js';
import { HedgeBudget } from '../../../src/cluster/hedge-budget.js';
import type { Neighbourhood, WeightedNode } from '../../../src/cluster/neighbourhood.js';
import { type CachedRun, type Peer, type PeerContent, PeerError, type PeerErrorCode } from '../../../src/cluster/peer.js';
import type { ChunkVerifier } from '../../../src/manifest/verifier.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { pattern } from '../../conformance/content.js';

export const chunkBytes = 65_536;
export const content: PeerContent = { id: 'ab'.repeat(16), sizeBytes: 1024 * chunkBytes, chunkBytes };
export const bytes = pattern(content.sizeBytes, 7);

type Answer = (offset: number, lengthBytes: number, sink: RangeSink, signal: AbortSignal | undefined) => Promise<void>;

export class ScriptedPeer implements Peer {
  readonly id: string;
  /** What was asked, as `home 0+65536`. */
  readonly asked: string[] = [];
  home: Answer = right;
  held: Answer = right;
  cached: CachedRun[] = [{ lengthBytes: content.sizeBytes, cached: false }];

  constructor(id: string) {
    this.id = id;
  }

  readHome(
    _content: PeerContent,
    offset: number,
    lengthBytes: number,
    sink: RangeSink,
    options: { signal?: AbortSignal | undefined } = {},
  ) {
    this.asked.push(`home ${offset}+${lengthBytes}`);
    return this.home(offset, lengthBytes, sink, options.signal);
  }

  readHeld(
    _content: PeerContent,
    offset: number,
    lengthBytes: number,
    sink: RangeSink,
    options: { signal?: AbortSignal | undefined } = {},
  ) {
    this.asked.push(`held ${offset}+${lengthBytes}`);
    return this.held(offset, lengthBytes, sink, options.signal);
  }

  cacheHome(_content: PeerContent, offset: number, lengthBytes: number): Promise<void> {
    this.asked.push(`cache ${offset}+${lengthBytes}`);
    return Promise.resolve();
  }

  cachedRuns(): Promise<CachedRun[]> {
    this.asked.push('cached');
    return Promise.resolve(this.cached);
  }
}

export async function right(offset: number, lengthBytes: number, sink: RangeSink): Promise<void> {
  sink.data(bytes.subarray(offset, offset + lengthBytes));
}

/** Delivers so much, then fails. */
export function failing(code: PeerErrorCode, afterBytes = 0): Answer {
  return async (offset, _lengthBytes, sink) => {
    if (afterBytes > 0) sink.data(bytes.subarray(offset, offset + afterBytes));
    throw new PeerError(code, 'scripted', 'as the test wants it');
  };
}

export class Stage implements Neighbourhood {
  readonly selfId = 'self';
  readonly clock = new ManualClock();
  readonly peers = new Map<string, ScriptedPeer>();
  readonly suspected: string[] = [];
  readonly originReads: string[] = [];
  readonly ownReads: string[] = [];
  readonly breakers = new Map<string, Breaker>();
  readonly clustered: ClusteredContent;
  /** How the origin answers. */
  origin: (offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions) => Promise<void> = right;
  isCutOff = false;
  revision = 1;
  /** In this order, by weights that leave no doubt. */
  homes: WeightedNode[] = [];

  constructor(peerIds: readonly string[], verifier?: ChunkVerifier) {
    for (const id of peerIds) this.peers.set(id, new ScriptedPeer(id));
    this.homes = ['self', ...peerIds].map((id) => ({ id, weight: 1 }));
    this.clustered = new ClusteredContent({
      content,
      name: 'image',
      neighbourhood: this,
      breakerOf: (id) => this.#breakerOf(id),
      hedges: new HedgeBudget(),
      verifier,
      origin: {
        read: async (offset, lengthBytes, sink, options) => {
          this.originReads.push(`${offset}+${lengthBytes}`);
          await this.origin(offset, lengthBytes, sink, options);
        },
      },
      readAsHome: async (offset, lengthBytes, sink) => {
        this.ownReads.push(`${offset}+${lengthBytes}`);
        sink.from('origin');
        await right(offset, lengthBytes, sink);
      },
      clock: this.clock,
      log: silentLogger,
    });
  }

  homesOf(): readonly WeightedNode[] {
    return this.homes;
  }

  formerHomesOf(): readonly never[] {
    return [];
  }

  holdersOf(): readonly Peer[] {
    return [...this.peers.values()];
  }

  peer(id: string): Peer | undefined {
    return this.peers.get(id);
  }

  suspect(id: string): void {
    this.suspected.push(id);
  }

  onChange(): () => void {
    return () => {};
  }

  /** The first chunk whose homes are these, in this order. */
  chunkOf(...ids: string[]): number {
    for (let chunk = 0; chunk < content.sizeBytes / chunkBytes; chunk += 1) {
      if (ids.every((id, place) => this.clustered.placement.homes(chunk)[place] === id)) return chunk;
    }
    throw new Error(`no chunk has the homes ${ids.join(', ')}`);
  }

  scripted(id: string): ScriptedPeer {
    const peer = this.peers.get(id);
    if (peer === undefined) throw new Error(`no peer ${id}`);
    return peer;
  }

  #breakerOf(id: string): Breaker {
    const breaker = this.breakers.get(id) ?? new Breaker({ clock: this.clock, random: () => 0 });
    this.breakers.set(id, breaker);
    return breaker;
  }
}

export class Gathered implements PlacedSink {
  readonly places: string[] = [];
  readonly #pieces: Buffer[] = [];

  data(piece: Buffer): void {
    this.#pieces.push(Buffer.from(piece));
  }

  zeroes(lengthBytes: number): void {
    this.#pieces.push(Buffer.alloc(lengthBytes));
  }

  from(place: string): void {
    this.places.push(place);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}
