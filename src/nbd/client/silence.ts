/**
 * Tells a silent connection from a slow server, and gives up a server that never answers.
 *
 * A server may work on a request for long, and sends nothing meanwhile. So after a time without a
 * byte the client asks for a sign of life, which the server answers at once. Any byte within the
 * time for that answer shows that the connection is well. Without a byte it has died silently.
 *
 * When to use: for servers that answer a read of no bytes at once, even while they work on other
 * requests. Copse's do; foreign servers may take one request after the other. Cost: one timer per
 * connection, which runs only while requests are in flight, and a look at the clock per request and
 * per piece of input.
 *
 * Invariants: without a request in flight no timer is set anew. The verdict falls only after the
 * event loop has looked for input once more. So a process that did not run for a while does not
 * blame the server.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { Command } from '../codec/constant.js';
import { NbdSilentError, NbdUnansweredError } from '../codec/error.js';
import type { PatienceOptions } from './contract.js';
import { type Ask, Exchange } from './exchange.js';

/** The part of a connection that is watched. */
export interface WatchedConnection {
  /** Requests in flight, the oldest first, including the sign of life. */
  readonly inFlight: { readonly size: number; values(): Iterable<Exchange> };
  /** Sends a request beyond those that the window counts. */
  send(exchange: Exchange): void;
  /** Ends the connection; each request in flight rejects with the error. */
  end(error: Error): void;
}

/** A server of Copse answers it without another node's help, and without waiting for room. */
const signOfLife: Ask = { type: Command.READ, flags: 0, offset: 0, lengthBytes: 0 };
const noContexts: ReadonlySet<number> = new Set();
/**
 * Bound on the reads of a connection that were given up and not answered. A server with more of
 * them is not waited for.
 */
const mostGivenUp = 64;

export class SilenceWatch {
  readonly #connection: WatchedConnection;
  readonly #clock: Clock;
  readonly #quietMs: number;
  readonly #answerMs: number;
  /** Bound on the wait for a READ, in ms; `Infinity` means none. */
  readonly #maxWaitMs: number;
  #quietSinceMs = 0;
  /** Time of the last answer to a request other than a sign of life. */
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Time of the sign of life that has no answer yet. */
  #askedAtMs: number | undefined;
  #sign: Exchange | undefined;
  #isEnded = false;
  #cancel: (() => void) | undefined;

  constructor(connection: WatchedConnection, options: PatienceOptions) {
    const { quietMs = 2000, answerMs = 1000, maxWaitMs = 0, clock = systemClock } = options;
    this.#connection = connection;
    this.#quietMs = quietMs;
    this.#answerMs = answerMs;
    this.#maxWaitMs = maxWaitMs === 0 ? Number.POSITIVE_INFINITY : maxWaitMs;
    this.#clock = clock;
  }

  /** Call it before the request is among those in flight. */
  sends(exchange: Exchange): void {
    const nowMs = this.#clock.nowMs();
    exchange.sentAtMs = nowMs;
    if (this.#connection.inFlight.size > 0) return;
    this.#quietSinceMs = nowMs;
    // A timer that runs already looks again when it finds a request.
    if (this.#cancel === undefined) this.#arm(Math.min(this.#quietMs, this.#maxWaitMs));
  }

  /** Bytes have arrived. */
  heard(): void {
    this.#quietSinceMs = this.#clock.nowMs();
    this.#askedAtMs = undefined;
  }

  /**
   * A reply is complete.
   *
   * @returns true if it was the sign of life, which the window does not count
   */
  finished(exchange: Exchange): boolean {
    if (exchange === this.#sign) {
      this.#sign = undefined;
      return true;
    }
    // The last bytes of the reply have just arrived.
    this.#answeredAtMs = this.#quietSinceMs;
    return false;
  }

  /** The connection has ended. */
  end(): void {
    this.#isEnded = true;
    this.#cancel?.();
  }

  #arm(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#cancel = undefined;
      this.#look();
    });
  }

  #look(): void {
    if (this.#connection.inFlight.size === 0) return;
    const nowMs = this.#clock.nowMs();
    if (this.#askedAtMs !== undefined && nowMs - this.#askedAtMs >= this.#answerMs) {
      // Input that came while this process did not run is read before the verdict.
      setImmediate(() => this.#judge());
      return;
    }
    const waitDueMs = this.#giveUp(nowMs);
    if (this.#isEnded) return;
    if (this.#askedAtMs === undefined && nowMs - this.#quietSinceMs >= this.#quietMs) this.#ask(nowMs);
    const silenceDueMs = this.#askedAtMs === undefined ? this.#quietSinceMs + this.#quietMs : this.#askedAtMs + this.#answerMs;
    this.#arm(Math.max(1, Math.min(silenceDueMs, waitDueMs) - nowMs));
  }

  /** A sign of life of an earlier silence may still be in flight. It tells as much as another. */
  #ask(nowMs: number): void {
    this.#askedAtMs = nowMs;
    if (this.#sign !== undefined) return;
    this.#sign = new Exchange(signOfLife, noContexts);
    this.#connection.send(this.#sign);
  }

  #judge(): void {
    if (this.#isEnded) return;
    if (this.#askedAtMs === undefined) {
      this.#look();
      return;
    }
    const silentMs = Math.round(this.#clock.nowMs() - this.#quietSinceMs);
    this.#connection.end(
      new NbdSilentError(`the NBD server sent nothing for ${silentMs} ms, and no sign of life when it was asked for one`),
    );
  }

  /**
   * Fails the reads that have waited too long; their replies are dropped when they arrive. If the
   * server has answered no request since the oldest of them was sent, the connection ends.
   *
   * @returns time at which the next read is due
   */
  #giveUp(nowMs: number): number {
    if (this.#maxWaitMs === Number.POSITIVE_INFINITY) return this.#maxWaitMs;
    let givenUpCount = 0;
    for (const exchange of this.#connection.inFlight.values()) {
      if (exchange.ask.type !== Command.READ || exchange === this.#sign) continue;
      if (!exchange.isGivenUp) {
        const dueMs = exchange.sentAtMs + this.#maxWaitMs;
        if (dueMs > nowMs) return dueMs;
        const { lengthBytes, offset } = exchange.ask;
        const text = `the NBD server gives signs of life, and no answer to a read of ${lengthBytes} bytes at ${offset} in ${this.#maxWaitMs} ms`;
        const error = new NbdUnansweredError(text);
        exchange.giveUp(error);
        if (this.#answeredAtMs < exchange.sentAtMs) givenUpCount = mostGivenUp;
      }
      givenUpCount += 1;
      if (givenUpCount <= mostGivenUp) continue;
      this.#connection.end(new NbdUnansweredError('the NBD server gives signs of life, and no answers'));
      break;
    }
    return Number.POSITIVE_INFINITY;
  }
}
