/**
 * Requests to one export of a disk at another node, over a connection that is made again when it was lost.
 *
 * Use it where losing a connection is not the request's failure: reads are asked again on the next connection until their deadline. It costs a timer a request that has one.
 *
 * Invariants: after its deadline no request waits any more; after `destroy` none at all. A request that was given up may still be answered: whoever gave it a sink ends that.
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
  /** For connecting and the handshake together. Default 2000. */
  connectTimeoutMs?: number | undefined;
  /** Before the second attempt, doubling with each up to 2000, half of it by chance. Default 50. */
  retryMs?: number | undefined;
}

export interface DiskLinkOptions extends DiskLinkTiming {
  peer: PeerTarget;
  wanted: PeerExport;
  sizeBytes: number;
  /** The export may be smaller. */
  mayBeSmaller?: boolean | undefined;
  contexts?: readonly string[] | undefined;
  /** So long without a request, and the connection is closed. Default: never. */
  idleMs?: number | undefined;
  onOpen?(client: NbdClient): void;
  /** What an answer means where it means more than that the peer refused. */
  meaningOf?(error: unknown): Error | undefined;
}

export interface DiskLinkRequest {
  /** Ends the request with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  /** In milliseconds; 0 or absent: for ever. */
  deadlineMs?: number | undefined;
  /** One attempt: a lost connection is the answer. */
  once?: boolean | undefined;
}

/** Requests in flight on one connection: what the peer's server takes of one. */
const maxInFlight = 1024;
const retryMostMs = 2000;

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

  /** Contacts nobody. @throws CopseError `ERR_URL` */
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
   * Runs `work` on a connection, and again on the next one where that was lost.
   *
   * @throws PeerError (`ERR_PEER_GONE`: no connection, or no answer, within the deadline), `ERR_ABORTED`, `ERR_CLOSED`, what `meaningOf` says
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

  /** Ends the connection, for who knows that the peer does not answer. Requests go on on the next one. @param reason why, for people */
  drop(reason: string): void {
    this.#link.drop(this.#gone(reason));
  }

  /** Ends it for good: whoever waits, and whoever asks from here on, fails with `ERR_PEER_GONE`. @param reason why, for people */
  destroy(reason: string): void {
    this.#stop(this.#gone(reason));
    this.#link.destroy(this.#gone(reason));
  }

  /** Answers what is under way, as far as it is on a connection, and closes. What is asked from here on fails with `ERR_CLOSED`. Idempotent. */
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
        // Not a word all the time: who asks next should not wait on the same dead connection.
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
    return Math.min(retryMostMs, retryMs * 2 ** Math.min(attempt, 20)) * (0.5 + Math.random() / 2);
  }
}
