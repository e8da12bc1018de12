/**
 * One kept connection to one export of a peer, closed after a time without use. It adds to
 * `KeptConnection` the peer's bounds on silence, the check of the size, and the end when idle. It
 * repeats no request (`disk-link.ts` does).
 *
 * Invariants: a connection that is handed out has the size that was asked for, and stays open at
 * least until its uses settle. After `destroy` no caller waits any more and nothing is open.
 */
import type { Clock } from '../../base/clock.js';
import { PeerError } from '../../cluster/peer.js';
import { KeptConnection } from '../../nbd/client/kept-connection.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import type { NbdAddress } from '../../nbd/codec/uri.js';
import { connectToPeer } from './connect.js';
import { connectError } from './failure.js';

export interface PeerLinkOptions {
  peerId: string;
  address: NbdAddress;
  exportName: string;
  /** Size of the export, in bytes. A connection to an export of another size is refused. */
  sizeBytes: number;
  /** True if a smaller export is accepted, too. */
  mayBeSmaller?: boolean | undefined;
  contexts: readonly string[];
  /** Timeout of connecting and handshake together, in ms. */
  connectTimeoutMs: number;
  /** Bound on the requests in flight; further ones wait here. */
  maxInFlight: number;
  /** Time without use after which the connection is closed, in ms; `Infinity`: never. */
  idleMs: number;
  /** See `PeerConnectOptions`. */
  maxWaitMs?: number | undefined;
  /** See `PeerConnectOptions`. */
  quietMs?: number | undefined;
  clock: Clock;
  /** Called when the connection was idle and is closed. */
  onIdle(): void;
  /** Called with each new connection. */
  onOpen?(client: NbdClient): void;
}

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #connection: KeptConnection<NbdClient>;
  #useCount = 0;
  #lastUseMs = 0;
  #cancelIdle: (() => void) | undefined;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#connection = new KeptConnection({ name: `peer ${options.peerId}`, connect: (signal) => this.#connect(signal) });
  }

  /**
   * Runs `work` on the connection, which stays open at least until it settles.
   *
   * @throws PeerError if there is no connection, `ERR_ABORTED`, what `work` throws
   */
  async use<T>(signal: AbortSignal | undefined, work: (client: NbdClient) => Promise<T>): Promise<T> {
    if (this.#connection.reason !== undefined) throw this.#connection.reason;
    this.#useCount += 1;
    try {
      return await work(this.#connection.open ?? (await this.#connection.get(signal)));
    } finally {
      this.#useCount -= 1;
      this.#lastUseMs = this.#options.clock.nowMs();
      if (this.#useCount === 0) this.#armIdle(this.#options.idleMs);
    }
  }

  /**
   * Ends the present connection, on which the peer does not answer. Its requests fail with
   * `reason`, and the next request makes another connection.
   */
  drop(reason: Error): void {
    this.#connection.drop(reason);
  }

  /** Ends it for good, at once: waiting and later requests fail with `reason`. */
  destroy(reason: Error): void {
    this.#cancelIdle?.();
    this.#connection.end(reason);
  }

  async #connect(signal: AbortSignal): Promise<NbdClient> {
    const { peerId, address, exportName, sizeBytes, mayBeSmaller, contexts, connectTimeoutMs, onOpen } = this.#options;
    const { maxInFlight, maxWaitMs, quietMs, clock } = this.#options;
    let client: NbdClient;
    try {
      const options = { exportName, contexts, maxInFlight, timeoutMs: connectTimeoutMs, maxWaitMs, quietMs, clock, signal };
      client = await connectToPeer(address, options);
    } catch (error) {
      throw connectError(peerId, exportName, error);
    }
    if (client.sizeBytes > sizeBytes || (client.sizeBytes < sizeBytes && mayBeSmaller !== true)) {
      client.destroy();
      throw new PeerError('ERR_PEER_LIED', peerId, `${exportName} has ${client.sizeBytes} bytes there and ${sizeBytes} here`);
    }
    if (!signal.aborted) onOpen?.(client);
    return client;
  }

  /** Sets one timer for many requests. A timer that finds a use since then is set again. */
  #armIdle(delayMs: number): void {
    if (this.#cancelIdle !== undefined || this.#connection.reason !== undefined || delayMs === Number.POSITIVE_INFINITY) return;
    this.#cancelIdle = this.#options.clock.after(delayMs, () => {
      this.#cancelIdle = undefined;
      if (this.#useCount > 0) return;
      const leftMs = this.#lastUseMs + this.#options.idleMs - this.#options.clock.nowMs();
      if (leftMs > 0) this.#armIdle(leftMs);
      else this.#closeIdle();
    });
  }

  #closeIdle(): void {
    const client = this.#connection.release();
    this.#options.onIdle();
    client?.disconnect().catch(() => {});
  }
}
