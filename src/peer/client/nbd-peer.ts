/**
 * Implements `Peer` over NBD: asks one other node for chunks, as home or as holder, and which ones
 * it holds.
 *
 * Each content has one connection per role and priority. So demand never waits behind a prefetch,
 * and garbage from one content's export ends no other content's requests.
 *
 * Invariants: after `destroy` every request fails at once. Until then a request waits while its
 * connection gives signs of life, and a read at most `waitMs`. A home may wait for a slow origin,
 * so a late answer alone does not count as silence.
 */

import { type Clock, systemClock } from '../../base/clock.js';
import { mergeExtent } from '../../block/merge-extent.js';
import type { RangeSink } from '../../block/sink.js';
import { parsePeerAddress } from '../../cluster/address.js';
import { type CachedRun, type Peer, type PeerContent, PeerError, type PeerRequestOptions } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { CACHED_CONTEXT, CachedFlag } from '../../nbd/codec/constant.js';
import type { NbdAddress } from '../../nbd/codec/uri.js';
import { OrderedSink } from '../../origin/nbd/ordered-sink.js';
import { type ContentRole, formatPeerExport } from '../wire/export-name.js';
import { requestError } from './failure.js';
import { PeerLink } from './link.js';

export interface NbdPeerOptions {
  id: string;
  /** Address of the peer: HOST:PORT. */
  address: string;
  /** Id of this node, by which the peer knows which chunks this node got from it. */
  selfId: string;
  clock?: Clock | undefined;
  /** Timeout of connecting and handshake together, in ms. Default 2000. */
  connectTimeoutMs?: number | undefined;
  /** Time without a request after which a connection is closed, in ms. Default 30 000. */
  idleMs?: number | undefined;
  /**
   * Time that a read may wait for a peer that gives signs of life, by role, in ms. Default 15 000
   * as home, 6000 as held.
   */
  waitMs?: Partial<Record<ContentRole, number>> | undefined;
}

/** Requests in flight on one connection: the default bound of the peer's server. */
const maxInFlight = 1024;

/**
 * Default of `waitMs`. A home gives up sooner itself, and then its error arrives before this
 * timeout. A healthy holder answers within 5 s.
 */
const defaultWaitMs: Record<ContentRole, number> = { home: 15_000, held: 6000 };
/**
 * Time without a byte after which a sign of life is asked for, in ms. A guest may wait for a home
 * that waits for a holder, and both silences have to be noticed within 5 s.
 */
const quietMs: Record<ContentRole, number> = { home: 2000, held: 500 };

/**
 * Bytes of one request. A home answers a request when it has all its bytes. A chunk in one request
 * would travel from the origin to the home and then to this node; pieces travel both ways at once.
 */
const pieceBytes = 64 * 1024;

export class NbdPeer implements Peer {
  readonly id: string;
  readonly address: string;
  readonly #options: NbdPeerOptions;
  readonly #target: NbdAddress;
  /** Connections by export name. */
  readonly #links = new Map<string, PeerLink>();
  #reason: Error | undefined;

  /** Makes no connection. @throws CopseError `ERR_URL` */
  constructor(options: NbdPeerOptions) {
    this.id = options.id;
    this.address = options.address;
    this.#options = options;
    this.#target = parsePeerAddress(options.address);
  }

  /** Number of connections that are open or being opened. */
  get linkCount(): number {
    return this.#links.size;
  }

  readHome(content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options: PeerRequestOptions = {}): Promise<void> {
    return this.#read('home', content, offset, lengthBytes, sink, options);
  }

  readHeld(content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options: PeerRequestOptions = {}): Promise<void> {
    return this.#read('held', content, offset, lengthBytes, sink, options);
  }

  cacheHome(content: PeerContent, offset: number, lengthBytes: number, options: PeerRequestOptions = {}): Promise<void> {
    const { signal } = options;
    return this.#ask('home', content, offset, lengthBytes, options, (client) => client.cache(offset, lengthBytes, { signal }));
  }

  cachedRuns(content: PeerContent, offset: number, lengthBytes: number, options: PeerRequestOptions = {}): Promise<CachedRun[]> {
    const { signal } = options;
    return this.#ask('held', content, offset, lengthBytes, options, async (client) => {
      if (!client.contexts.has(CACHED_CONTEXT)) throw new PeerError('ERR_PEER_REFUSED', this.id, 'the peer does not tell what it holds');
      const runs: CachedRun[] = [];
      for (let at = offset; at < offset + lengthBytes; ) {
        const statuses = await client.blockStatus(at, offset + lengthBytes - at, { signal });
        // The client refuses a status without extents and empty extents, so this loop ends.
        for (const extent of statuses.get(CACHED_CONTEXT) ?? []) {
          append(runs, extent.lengthBytes, (extent.flags & CachedFlag.CACHED) !== 0);
          at += extent.lengthBytes;
        }
      }
      return runs;
    });
  }

  /**
   * Ends all connections for good: waiting and later requests fail with `ERR_PEER_GONE`.
   *
   * @param reason why, for people
   */
  destroy(reason: string): void {
    this.#reason ??= new PeerError('ERR_PEER_GONE', this.id, reason);
    for (const link of this.#links.values()) link.destroy(this.#reason);
    this.#links.clear();
  }

  async #read(
    role: ContentRole,
    content: PeerContent,
    offset: number,
    lengthBytes: number,
    sink: RangeSink,
    options: PeerRequestOptions,
  ): Promise<void> {
    const { signal } = options;
    const ordered = new OrderedSink(offset, lengthBytes, sink);
    try {
      await this.#ask(role, content, offset, lengthBytes, options, (client) => readInPieces(client, offset, lengthBytes, ordered, signal));
    } catch (error) {
      throw ordered.failure === undefined ? error : ordered.failure.error;
    } finally {
      ordered.end();
    }
    if (ordered.failure !== undefined) throw ordered.failure.error;
    if (!ordered.complete) throw new PeerError('ERR_PEER_LIED', this.id, `${role} of ${content.id}: the answer has gaps`);
  }

  async #ask<T>(
    role: ContentRole,
    content: PeerContent,
    offset: number,
    lengthBytes: number,
    options: PeerRequestOptions,
    work: (client: NbdClient) => Promise<T>,
  ): Promise<T> {
    const name = formatPeerExport({ kind: role, id: content.id, from: this.#options.selfId, background: options.background });
    try {
      return await this.#link(name, content.sizeBytes, role).use(options.signal, work);
    } catch (error) {
      throw requestError(this.id, role, `${role} of ${content.id}, ${lengthBytes} bytes at ${offset}`, error);
    }
  }

  #link(exportName: string, sizeBytes: number, role: ContentRole): PeerLink {
    if (this.#reason !== undefined) throw this.#reason;
    const known = this.#links.get(exportName);
    if (known !== undefined) return known;
    const { clock = systemClock, connectTimeoutMs = 2000, idleMs = 30_000, waitMs } = this.#options;
    const link: PeerLink = new PeerLink({
      peerId: this.id,
      address: this.#target,
      exportName,
      sizeBytes,
      contexts: role === 'held' ? [CACHED_CONTEXT] : [],
      connectTimeoutMs,
      maxInFlight,
      idleMs,
      maxWaitMs: waitMs?.[role] ?? defaultWaitMs[role],
      quietMs: quietMs[role],
      clock,
      onIdle: () => {
        if (this.#links.get(exportName) === link) this.#links.delete(exportName);
      },
    });
    this.#links.set(exportName, link);
    return link;
  }
}

/**
 * Asks for all pieces at once, so that the peer sends each as soon as it has it. If one fails, the
 * caller ends the sink, which ignores the pieces that still arrive.
 */
async function readInPieces(
  client: NbdClient,
  offset: number,
  lengthBytes: number,
  sink: OrderedSink,
  signal: AbortSignal | undefined,
): Promise<void> {
  const end = offset + lengthBytes;
  const reads: Promise<void>[] = [];
  for (let at = offset; at < end; ) {
    const pieceEnd = Math.min(end, (Math.floor(at / pieceBytes) + 1) * pieceBytes);
    reads.push(client.read(at, pieceEnd - at, sink, { signal }));
    at = pieceEnd;
  }
  await Promise.all(reads);
}

function append(runs: CachedRun[], lengthBytes: number, cached: boolean): void {
  mergeExtent(runs, { lengthBytes, cached }, (last) => last.cached === cached);
}
