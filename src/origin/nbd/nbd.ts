/**
 * NBD exports as origins. Zeros that the server knows of are not transferred. Reads keep to its
 * block sizes.
 *
 * An export is pinned by its size. NBD has nothing better, so a change of content under the same
 * size goes unnoticed.
 */

import { type Clock, systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { ClosedError, errorCode } from '../../base/error.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { RangeSink } from '../../block/sink.js';
import type { KeptConnection } from '../../nbd/client/kept-connection.js';
import { type Origin, OriginError } from '../origin.js';
import { type AllocationExtent, AllocationMap, type FetchAllocation } from './allocation.js';
import { nbdError } from './failure.js';
import { keepNbdPeer, type NbdConnect, type NbdPeer } from './link.js';
import { ClippingSink, OrderedSink } from './ordered-sink.js';

export type NbdPin = { kind: 'nbd'; sizeBytes: number };

export interface NbdOptions {
  clock?: Clock | undefined;
  /**
   * Longest time without any answer to a read before the connection counts as lost, in ms; default
   * 10 000.
   */
  idleTimeoutMs?: number | undefined;
}

/**
 * `base:allocation` (NBD protocol, "Base allocation metadata context"): bit 1 says that it reads as
 * zeros.
 */
const allocationContext = 'base:allocation';
const zeroFlag = 2;
/** Shorter zeros are read with their surroundings: a request of their own would cost more. */
const minZeroBytes = 32 * 1024;

/** Contexts that a client must negotiate for an NbdOrigin. */
export const nbdContexts = [allocationContext];

export class NbdOrigin implements Origin {
  readonly url: string;
  readonly identity: NbdPin;
  readonly #connections: Record<'demand' | 'prefetch', KeptConnection<NbdPeer>>;
  readonly #allocation: AllocationMap;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  #closed = false;

  /** Makes no connection. @param connect makes one connection, with `nbdContexts` */
  constructor(url: string, identity: NbdPin, connect: NbdConnect, options: NbdOptions = {}) {
    this.url = url;
    this.identity = identity;
    const kept = (): KeptConnection<NbdPeer> => keepNbdPeer(url, identity.sizeBytes, connect);
    this.#connections = { demand: kept(), prefetch: kept() };
    this.#allocation = new AllocationMap(identity.sizeBytes);
    this.#clock = options.clock ?? systemClock;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 10_000;
  }

  get sizeBytes(): number {
    return this.identity.sizeBytes;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink, options: SourceReadOptions = {}): Promise<void> {
    if (lengthBytes === 0) return;
    const what = `${this.url}, ${lengthBytes} bytes at ${offset}`;
    const connection = this.#connections[options.priority === undefined || options.priority === 'demand' ? 'demand' : 'prefetch'];
    const ordered = new OrderedSink(offset, lengthBytes, sink);
    let unwatch: (() => void) | undefined;
    try {
      const peer = await connection.get(options.signal);
      unwatch = this.#watch(what, peer, ordered);
      await this.#readFrom(peer, offset, lengthBytes, ordered, options.signal);
    } catch (cause) {
      throw ordered.failure === undefined ? nbdError(what, cause, this.#closed) : ordered.failure.error;
    } finally {
      unwatch?.();
      ordered.end();
    }
    if (ordered.failure !== undefined) throw ordered.failure.error;
    if (!ordered.complete) throw new OriginError('ERR_ORIGIN_PROTOCOL', `${what}: the answer has gaps`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const connection of Object.values(this.#connections)) connection.end(new ClosedError(this.url));
  }

  async #readFrom(peer: NbdPeer, offset: number, lengthBytes: number, sink: OrderedSink, signal: AbortSignal | undefined): Promise<void> {
    const runs = await this.#runs(peer, offset, lengthBytes, sink, signal);
    const reads: Promise<void>[] = [];
    let at = offset;
    for (const run of runs) {
      if (run.zero) sink.zeroes(at, run.lengthBytes);
      else reads.push(this.#readRun(peer, at, run.lengthBytes, sink, signal));
      at += run.lengthBytes;
    }
    await Promise.all(reads);
  }

  #runs(
    peer: NbdPeer,
    offset: number,
    lengthBytes: number,
    sink: OrderedSink,
    signal: AbortSignal | undefined,
  ): Promise<AllocationExtent[]> {
    if (!peer.contexts.has(allocationContext)) return Promise.resolve([{ lengthBytes, zero: false }]);
    const fetch: FetchAllocation = (at, bytes) => this.#fetchAllocation(peer, sink, at, bytes);
    return waitFor(`block status of ${this.url}`, this.#allocation.runs(offset, lengthBytes, minZeroBytes, fetch), { signal });
  }

  /** Widened to the server's minimum block; the client splits at its maximum. */
  #readRun(peer: NbdPeer, offset: number, lengthBytes: number, sink: OrderedSink, signal: AbortSignal | undefined): Promise<void> {
    const unitBytes = Math.max(peer.blockSize.minimumBytes, 1);
    const start = Math.floor(offset / unitBytes) * unitBytes;
    const end = Math.min(Math.ceil((offset + lengthBytes) / unitBytes) * unitBytes, this.sizeBytes);
    const aligned = start === offset && end === offset + lengthBytes;
    return peer.read(start, end - start, aligned ? sink : new ClippingSink(sink, offset, lengthBytes), { signal });
  }

  /**
   * All reads that wait for the segment share it, so no signal of one ends it. A server that
   * refuses has no zeros to tell of.
   */
  async #fetchAllocation(peer: NbdPeer, sink: OrderedSink, offset: number, lengthBytes: number): Promise<AllocationExtent[]> {
    const unitBytes = Math.max(peer.blockSize.minimumBytes, 1);
    const wantedBytes = Math.min(lengthBytes, 2 ** 31);
    try {
      const statuses = await peer.blockStatus(offset, Math.max(wantedBytes - (wantedBytes % unitBytes), Math.min(unitBytes, lengthBytes)));
      const extents = statuses.get(allocationContext) ?? [];
      if (extents.length > 0) return extents.map((extent) => ({ lengthBytes: extent.lengthBytes, zero: (extent.flags & zeroFlag) !== 0 }));
    } catch (error) {
      if (errorCode(error).startsWith('ERR_')) throw error;
    } finally {
      sink.arrivalCount += 1;
    }
    return [{ lengthBytes, zero: false }];
  }

  /**
   * Ends the connection if nothing comes for `idleTimeoutMs`. A server that vanished silently would
   * never be noticed otherwise.
   */
  #watch(what: string, peer: NbdPeer, sink: OrderedSink): () => void {
    let seen = sink.arrivalCount;
    let cancel: () => void = () => {};
    const look = (): void => {
      if (sink.arrivalCount === seen) {
        peer.destroy(new OriginError('ERR_ORIGIN_UNAVAILABLE', `${what}: the server does not answer`));
        return;
      }
      seen = sink.arrivalCount;
      cancel = this.#clock.after(this.#idleTimeoutMs, look);
    };
    cancel = this.#clock.after(this.#idleTimeoutMs, look);
    return () => cancel();
  }
}
