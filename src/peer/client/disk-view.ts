/**
 * A disk that another node owns, as a block device of this one: every read, flush and block status passes to the owner. It is a `BlockDevice` of `src/device`, to which this room
 * does not look.
 *
 * Invariants: it writes nothing; while it is open it stays connected, or tries to, because the owner counts its connection as a client's.
 *
 * Source: docs/reference/peer-protocol.md, `disk/UUID`.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { CopseError, errorCode } from '../../base/error.js';
import type { Extent } from '../../block/extent.js';
import { mergeExtent } from '../../block/merge-extent.js';
import { PeerError, type PeerTarget } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { ALLOCATION_CONTEXT, AllocationFlag } from '../../nbd/codec/constant.js';
import { DiskLink, type DiskLinkTiming } from './disk-link.js';
import { TargetSink } from './target-sink.js';

export interface PeerDiskViewOptions extends DiskLinkTiming {
  /** The owner. */
  peer: PeerTarget;
  uuid: string;
  /** The owner's disk must have it, or every request fails with `ERR_PEER_LIED`. */
  sizeBytes: number;
  /** This node. */
  selfId: string;
}

export interface PeerDiskRequest {
  /** Ends the request with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** In milliseconds, reconnecting included; 0 or absent: for ever. */
  deadlineMs?: number | undefined;
}

/** After a loss, before it connects again of itself: the owner may be restarting, or turn everybody away. */
const reattachMs = 500;

/**
 * Rejections: PeerError; `ERR_NOT_OWNER`: the node does not own the disk, or not any more, or the view was closed, which is done when there is another owner: look for it and ask there;
 * `ERR_ABORTED`.
 */
export class PeerDiskView {
  readonly sizeBytes: number;
  readonly blockSize = { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 1024 * 1024 };
  readonly features = { readOnly: true, multiConn: true, trim: false, writeZeroes: false, fastZero: false };
  readonly #options: PeerDiskViewOptions;
  readonly #clock: Clock;
  readonly #link: DiskLink;
  #cancelReattach: (() => void) | undefined;
  readonly #onEnd: (() => void)[] = [];
  #ended = false;

  /** Contacts nobody. @throws CopseError `ERR_URL` */
  constructor(options: PeerDiskViewOptions) {
    const { peer, uuid, selfId, sizeBytes } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.sizeBytes = sizeBytes;
    this.#link = new DiskLink({
      ...options,
      wanted: { kind: 'disk', uuid, from: selfId },
      contexts: [ALLOCATION_CONTEXT],
      onOpen: (client) => this.#stayAttached(client),
      meaningOf: (error) => (saysNotOwner(error) ? this.#notOwner(error) : undefined),
      peer,
      sizeBytes,
    });
  }

  /** Connects; from then on the owner counts this node as attached. Where that takes longer than the deadline, it is gone on with. */
  async attach(request: PeerDiskRequest = {}): Promise<void> {
    try {
      await this.#ask('attach', request, async () => {});
    } catch (error) {
      if (errorCode(error) === 'ERR_PEER_GONE') this.#reattachLater();
      throw error;
    }
  }

  readNow(): boolean {
    return false;
  }

  isZeroNow(): boolean {
    return false;
  }

  async read(target: Buffer, offset: number, request: PeerDiskRequest = {}): Promise<'peer'> {
    const { signal } = request;
    const sink = new TargetSink(target, offset);
    try {
      await this.#ask(`${target.length} bytes at ${offset}`, request, (client) => client.read(offset, target.length, sink, { signal }));
    } finally {
      sink.end();
    }
    return 'peer';
  }

  write(): Promise<void> {
    return this.#refuse();
  }

  writeZeroes(): Promise<void> {
    return this.#refuse();
  }

  trim(): Promise<void> {
    return this.#refuse();
  }

  /** What the owner had acknowledged before the call, to whomever, is durable there. */
  flush(request: PeerDiskRequest = {}): Promise<void> {
    return this.#ask('flush', request, (client) => client.flush({ signal: request.signal }));
  }

  /** As `BlockDevice.extents`; what the owner does not tell counts as data. */
  extents(offset: number, lengthBytes: number, maxCount: number, request: PeerDiskRequest = {}) {
    return this.#ask(`extents of ${lengthBytes} bytes at ${offset}`, request, async (client) => {
      const extents: Extent[] = [];
      if (!client.contexts.has(ALLOCATION_CONTEXT)) return [{ lengthBytes, zero: false, hole: false }];
      const statuses = await client.blockStatus(offset, lengthBytes, { signal: request.signal, one: maxCount === 1 });
      for (const { lengthBytes, flags } of statuses.get(ALLOCATION_CONTEXT) ?? []) {
        const zero = (flags & AllocationFlag.ZERO) !== 0;
        const hole = (flags & AllocationFlag.HOLE) !== 0;
        const isAlike = (last: Extent): boolean => last.zero === zero && last.hole === hole;
        if (!mergeExtent(extents, { lengthBytes, zero, hole }, isAlike, maxCount)) break;
      }
      return extents;
    });
  }

  cachedExtents(_offset: number, lengthBytes: number) {
    return [{ lengthBytes, cached: false }];
  }

  /** Nothing of it can be kept: code `ENOTSUP`. */
  cache(): Promise<void> {
    return Promise.reject(new CopseError('ENOTSUP', `disk ${this.#options.uuid} is on node ${this.#options.peer.id}`));
  }

  /** Ends the connection, for who knows that the owner does not answer (its pings fail). Requests go on on the next one, until their deadlines. */
  drop(reason: string): void {
    this.#link.drop(reason);
  }

  /** Ends it for good, and at once: whoever waits fails with `ERR_PEER_GONE`. @param reason why, for people */
  destroy(reason: string): void {
    this.#detach();
    this.#link.destroy(reason);
  }

  /** Calls it when the view is closed or destroyed. */
  onEnd(callback: () => void): void {
    this.#onEnd.push(callback);
  }

  /** Ends it after what is under way. Idempotent. */
  close(): Promise<void> {
    this.#detach();
    return this.#link.close();
  }

  async #ask<T>(what: string, request: PeerDiskRequest, work: (client: NbdClient) => Promise<T>): Promise<T> {
    try {
      return await this.#link.ask(`disk ${this.#options.uuid}, ${what}`, request, work);
    } catch (error) {
      throw errorCode(error) === 'ERR_CLOSED' ? this.#notOwner(error) : error;
    }
  }

  #stayAttached(client: NbdClient): void {
    void client.closed.then(() => this.#reattachLater());
  }

  #reattachLater(): void {
    if (this.#ended || this.#cancelReattach !== undefined) return;
    this.#cancelReattach = this.#clock.after(reattachMs, () => {
      this.#cancelReattach = undefined;
      // Who does not own it any more, or lies, is left alone; the next request says so.
      this.attach().catch(() => {});
    });
  }

  #detach(): void {
    this.#ended = true;
    this.#cancelReattach?.();
    for (const end of this.#onEnd.splice(0)) end();
  }

  #notOwner(cause: unknown): CopseError {
    return new CopseError('ERR_NOT_OWNER', `node ${this.#options.peer.id} does not own disk ${this.#options.uuid}`, { cause });
  }

  #refuse(): Promise<void> {
    return Promise.reject(new CopseError('EROFS', `disk ${this.#options.uuid} is written by its owner, node ${this.#options.peer.id}`));
  }
}

/** It says so of a request, or, as the node that it is now, knows no such export. */
function saysNotOwner(error: unknown): boolean {
  return errorCode(error) === 'ESHUTDOWN' || (error instanceof PeerError && errorCode(error.cause) === 'ERR_NBD_UNKNOWN_EXPORT');
}
