/**
 * Sends requests to one export of a disk at another node, and repeats them on a new connection when
 * the connection was lost, until their deadlines.
 *
 * When to use: for reads and flushes of disks, which a restart of the other node must not fail. A
 * repeated request must do no harm. Cost: one timer per request with a deadline.
 *
 * It adds to `PeerLink` what a disk needs: retries with backoff (50 ms, doubling up to 2 s, half of
 * it random), a deadline over all attempts, and an end that awaits the requests under way.
 *
 * Invariants: no request waits beyond its deadline, and none after `destroy`. A request that was
 * given up may still be answered, so the owner of its sink ends the sink.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { AbortedError, ClosedError, errorCode } from '../../base/error.js';
import { pause } from '../../base/pause.js';
import { parsePeerAddress } from '../../cluster/address.js';
import { PeerError, type PeerTarget } from '../../cluster/peer.js';
import type { NbdClient } from '../../nbd/client/nbd-client.js';
import { NbdRequestError } from '../../nbd/codec/error.js';
import { formatPeerExport, type PeerExport } from '../wire/export-name.js';
import { requestError } from './failure.js';
import { PeerLink } from './link.js';

export interface DiskLinkTiming {
  clock?: Clock | undefined;
  /** Timeout of connecting and handshake together, in ms. Default 2000. */
  connectTimeoutMs?: number | undefined;
  /** Delay before the second attempt, in ms. It doubles up to 2000; half is random. Default 50. */
  retryMs?: number | undefined;
}

export interface DiskLinkOptions extends DiskLinkTiming {
  peer: PeerTarget;
  wanted: PeerExport;
  /** Size of the export, in bytes. A connection to an export of another size is refused. */
  sizeBytes: number;
  /** True if a smaller export is accepted, too. */
  mayBeSmaller?: boolean | undefined;
  contexts?: readonly string[] | undefined;
  /** Time without a request after which the connection is closed, in ms. Default: never. */
  idleMs?: number | undefined;
  /** Called with each new connection. */
  onOpen?(client: NbdClient): void;
  /** Gives the error for an answer that means more than a refusal; `undefined` for others. */
  meaningOf?(error: unknown): Error | undefined;
}

export interface DiskLinkRequest {
  /** Ends the request with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Deadline over all attempts, in ms; 0 or absent means none. */
  deadlineMs?: number | undefined;
  /** True for one attempt: a lost connection fails the request. */
  once?: boolean | undefined;
}

/** Requests in flight on one connection: the bound of the peer's server. */
const maxInFlight = 1024;
const maxRetryMs = 2000;

export class DiskLink {
  readonly #options: DiskLinkOptions;
  readonly #clock: Clock;
  readonly #link: PeerLink;
  readonly #exportName: string;
  /** Wakes requests that wait for their next attempt. */
  readonly #end = new AbortController();
  #runningCount = 0;
  #answerCount = 0;
  #onIdle: (() => void) | undefined;
  #reason: Error | undefined;
  #closing: Promise<void> | undefined;

  /** Makes no connection. @throws CopseError `ERR_URL` */
  constructor(options: DiskLinkOptions) {
    const { peer, wanted, sizeBytes, mayBeSmaller, contexts = [], clock = systemClock, connectTimeoutMs = 2000 } = options;
    this.#options = options;
    this.#clock = clock;
    this.#exportName = formatPeerExport(wanted);
    this.#link = new PeerLink({
      peerId: peer.id,
      address: parsePeerAddress(peer.address),
      exportName: this.#exportName,
      sizeBytes,
      mayBeSmaller,
      contexts,
      connectTimeoutMs,
      maxInFlight,
      idleMs: options.idleMs ?? Number.POSITIVE_INFINITY,
      clock,
      onIdle: () => {},
      onOpen: (client) => options.onOpen?.(client),
    });
  }

  /**
   * Runs `work` on a connection, and again on the next one if that was lost.
   *
   * @param what name of the request in errors
   * @throws PeerError, `ERR_ABORTED`, `ERR_CLOSED`, the errors of `meaningOf`. `ERR_PEER_GONE`
   *   means that there was no connection or no answer within the deadline
   */
  async ask<T>(what: string, request: DiskLinkRequest, work: (client: NbdClient) => Promise<T>): Promise<T> {
    const { deadlineMs = 0, once = false, signal } = request;
    const untilMs = deadlineMs > 0 ? this.#clock.nowMs() + deadlineMs : Number.POSITIVE_INFINITY;
    this.#runningCount += 1;
    try {
      for (let attempt = 0; ; attempt += 1) {
        if (this.#reason !== undefined) throw this.#reason;
        if (signal?.aborted) throw new AbortedError(what, { cause: signal.reason });
        try {
          return await this.#attempt(what, signal, untilMs, work);
        } catch (error) {
          if (this.#reason !== undefined) throw this.#reason;
          const delayMs = this.#delayMs(attempt);
          if (once || errorCode(error) !== 'ERR_PEER_GONE' || this.#clock.nowMs() + delayMs >= untilMs) throw error;
          await pause(this.#clock, delayMs, signal, this.#end.signal);
        }
      }
    } finally {
      this.#runningCount -= 1;
      if (this.#runningCount === 0) this.#onIdle?.();
    }
  }

  /**
   * Ends the connection; for a peer whose pings fail. Requests go on, on a new connection.
   *
   * @param reason why, for people
   */
  drop(reason: string): void {
    this.#link.drop(this.#gone(reason));
  }

  /**
   * Ends it for good, at once: waiting and later requests fail with `ERR_PEER_GONE`.
   *
   * @param reason why, for people
   */
  destroy(reason: string): void {
    this.#stop(this.#gone(reason));
    this.#link.destroy(this.#gone(reason));
  }

  /**
   * Awaits the requests that are on a connection, and ends it for good. Requests that wait for
   * their next attempt, and later ones, fail with `ERR_CLOSED`. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const reason = new ClosedError(`${this.#exportName} at ${this.#options.peer.id}`);
    this.#stop(reason);
    if (this.#runningCount > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#link.destroy(reason);
  }

  #stop(reason: Error): void {
    this.#reason ??= reason;
    this.#end.abort();
  }

  async #attempt<T>(what: string, signal: AbortSignal | undefined, untilMs: number, work: (client: NbdClient) => Promise<T>): Promise<T> {
    const { peer, wanted, meaningOf } = this.#options;
    const answersBefore = this.#answerCount;
    const leftMs = untilMs - this.#clock.nowMs();
    const timeoutMs = leftMs === Number.POSITIVE_INFINITY ? 0 : Math.max(1, leftMs);
    try {
      const result = await waitFor(what, this.#link.use(signal, work), { timeoutMs, clock: this.#clock });
      this.#answerCount += 1;
      return result;
    } catch (error) {
      if (error instanceof NbdRequestError) this.#answerCount += 1;
      if (errorCode(error) === 'ERR_DEADLINE') {
        // The peer answered nothing in all that time. The next request gets a new connection.
        if (this.#answerCount === answersBefore) this.drop(`nothing was answered while ${what} waited`);
        throw this.#gone(`${what}: no answer in time`, error);
      }
      throw meaningOf?.(error) ?? requestError(peer.id, wanted.kind, what, error);
    }
  }

  #gone(message: string, cause?: unknown): PeerError {
    return new PeerError('ERR_PEER_GONE', this.#options.peer.id, message, { cause });
  }

  #delayMs(attempt: number): number {
    const { retryMs = 50 } = this.#options;
    return Math.min(maxRetryMs, retryMs * 2 ** Math.min(attempt, 20)) * (0.5 + Math.random() / 2);
  }
}
