/**
 * One connection to one export of a peer, made when it is first wanted, made again after it was lost, and closed when nobody wanted it for a while.
 *
 * Invariants: a connection that is handed out has the size that was asked for; one attempt to connect at a time, however many wait for it; after `destroy`
 * nobody waits any more and nothing is open.
 */
import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { PeerError } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import type { NbdAddress } from '../../nbd/codec/uri.js';
import { connectToPeer } from './connect.js';
import { connectError } from './failure.js';

export interface PeerLinkOptions {
  peerId: string;
  address: NbdAddress;
  exportName: string;
  /** A connection whose export has another is refused. */
  sizeBytes: number;
  /** One that is smaller is taken, too. */
  mayBeSmaller?: boolean | undefined;
  contexts: readonly string[];
  /** For connecting and the handshake together. */
  connectTimeoutMs: number;
  /** Requests in flight at once; the rest wait their turn here. */
  maxInFlight: number;
  /** So long without a request, and the connection is closed; `Infinity`: never. */
  idleMs: number;
  /** See `PeerConnectOptions`. */
  maxWaitMs?: number | undefined;
  /** The same. */
  quietMs?: number | undefined;
  clock: Clock;
  /** The connection was idle and is closed: the link holds nothing any more. */
  onIdle(): void;
  /** A connection was made. */
  onOpen?(client: NbdClient): void;
}

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #end = new AbortController();
  #client: NbdClient | undefined;
  #attempt: Promise<NbdClient> | undefined;
  #useCount = 0;
  #lastUseMs = 0;
  #cancelIdle: (() => void) | undefined;
  #reason: Error | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` on the connection, which stays open at least until it settles.
   *
   * @throws PeerError when there is no connection, `ERR_ABORTED`, what `work` throws
   */
  async use<T>(signal: AbortSignal | undefined, work: (client: NbdClient) => Promise<T>): Promise<T> {
    if (this.#reason !== undefined) throw this.#reason;
    this.#useCount += 1;
    try {
      const open = this.#client?.failure === undefined ? this.#client : undefined;
      return await work(open ?? (await this.#connection(signal)));
    } finally {
      this.#useCount -= 1;
      this.#lastUseMs = this.#options.clock.nowMs();
      if (this.#useCount === 0) this.#armIdle(this.#options.idleMs);
    }
  }

  /** Ends the connection that there is, for who knows that nobody answers on it: those who wait on it fail with `reason`. The next request makes another. */
  drop(reason: Error): void {
    const client = this.#client;
    this.#client = undefined;
    client?.destroy(reason);
  }

  /** Ends it for good: whoever waits, and whoever asks from here on, fails with `reason`. */
  destroy(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#cancelIdle?.();
    this.#end.abort(reason);
    this.#client?.destroy(reason);
  }

  #connection(signal: AbortSignal | undefined): Promise<NbdClient> {
    this.#client = undefined;
    this.#attempt ??= this.#connect().finally(() => {
      this.#attempt = undefined;
    });
    return waitFor(`connection to peer ${this.#options.peerId}`, this.#attempt, { signal });
  }

  async #connect(): Promise<NbdClient> {
    const { peerId, address, exportName, sizeBytes, mayBeSmaller, contexts, connectTimeoutMs, onOpen } = this.#options;
    const { maxInFlight, maxWaitMs, quietMs, clock } = this.#options;
    let client: NbdClient;
    try {
      client = await connectToPeer(address, {
        exportName,
        contexts,
        maxInFlight,
        timeoutMs: connectTimeoutMs,
        maxWaitMs,
        quietMs,
        clock,
        signal: this.#end.signal,
      });
    } catch (error) {
      throw this.#reason ?? connectError(peerId, exportName, error);
    }
    if (this.#reason !== undefined) {
      client.destroy(this.#reason);
      throw this.#reason;
    }
    if (client.sizeBytes > sizeBytes || (client.sizeBytes < sizeBytes && mayBeSmaller !== true)) {
      client.destroy();
      throw new PeerError('ERR_PEER_LIED', peerId, `${exportName} has ${client.sizeBytes} bytes there and ${sizeBytes} here`);
    }
    this.#client = client;
    onOpen?.(client);
    return client;
  }

  /** One timer for a time without requests, not one a request: it looks again when it finds that there was one. */
  #armIdle(delayMs: number): void {
    if (this.#cancelIdle !== undefined || this.#reason !== undefined || delayMs === Number.POSITIVE_INFINITY) return;
    this.#cancelIdle = this.#options.clock.after(delayMs, () => {
      this.#cancelIdle = undefined;
      if (this.#useCount > 0) return;
      const leftMs = this.#lastUseMs + this.#options.idleMs - this.#options.clock.nowMs();
      if (leftMs > 0) this.#armIdle(leftMs);
      else this.#closeIdle();
    });
  }

  #closeIdle(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#options.onIdle();
    client?.disconnect().catch(() => {});
  }
}
