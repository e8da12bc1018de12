/**
 * A disk that another node owns, as a block device of this node. The owner executes every read,
 * flush and block status.
 *
 * Clients of this node use it until their first write, which makes this node the owner.
 *
 * Invariants: it writes nothing. While it is open it is connected or tries to connect, because the
 * owner counts this node as attached by its connection.
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
  /** The node that owns the disk. */
  peer: PeerTarget;
  uuid: string;
  /** Size of the disk, in bytes. If the owner has another, requests fail with `ERR_PEER_LIED`. */
  sizeBytes: number;
  /** Id of this node. */
  selfId: string;
}

export interface PeerDiskRequest {
  /** Ends the request with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Deadline with all attempts to connect, in ms; 0 or absent means none. */
  deadlineMs?: number | undefined;
}

/**
 * Delay before it connects again after a loss, in ms. The owner may be restarting, or may refuse
 * every connection.
 */
const reattachMs = 500;

/**
 * Rejections: PeerError, `ERR_ABORTED`, `ERR_NOT_OWNER`. The last means that the node does not own
 * the disk, or that the view was closed because another node owns it. The caller looks for the
 * owner and asks there.
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

  /** Makes no connection. @throws CopseError `ERR_URL` */
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

  /**
   * Connects; from then on the owner counts this node as attached. If the deadline ends the wait,
   * attempts go on in the background.
   */
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

  /** Makes durable all that the owner had acknowledged before the call, to any client. */
  flush(request: PeerDiskRequest = {}): Promise<void> {
    return this.#ask('flush', request, (client) => client.flush({ signal: request.signal }));
  }

  /** As `BlockDevice.extents`. Without the owner's block status the range counts as data. */
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

  /** Rejects with `ENOTSUP`: this node keeps no blocks of the disk. */
  cache(): Promise<void> {
    return Promise.reject(new CopseError('ENOTSUP', `disk ${this.#options.uuid} is on node ${this.#options.peer.id}`));
  }

  /**
   * Ends the connection; for an owner whose pings fail. Requests go on, on a new connection.
   *
   * @param reason why, for people
   */
  drop(reason: string): void {
    this.#link.drop(reason);
  }

  /**
   * Ends it for good, at once: waiting requests fail with `ERR_PEER_GONE`.
   *
   * @param reason why, for people
   */
  destroy(reason: string): void {
    this.#detach();
    this.#link.destroy(reason);
  }

  /** Registers a callback for the moment when the view is closed or destroyed. */
  onEnd(callback: () => void): void {
    this.#onEnd.push(callback);
  }

  /** Awaits the requests under way, and ends it for good. Idempotent. */
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
      // A node that lies or does not own the disk any more is not asked again here. The next
      // request tells why.
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

/** True if the node refused a request as no owner, or does not know the export. */
function saysNotOwner(error: unknown): boolean {
  return errorCode(error) === 'ESHUTDOWN' || (error instanceof PeerError && errorCode(error.cause) === 'ERR_NBD_UNKNOWN_EXPORT');
}
