/**
 * One connection in transmission: requests go out, replies come in, with any number in flight up to
 * the window.
 *
 * Invariants: a cookie is in use once. When the connection dies, every request in flight and in
 * line rejects with the reason, and the socket is destroyed. Requests that are made in one turn
 * leave in one write. One place of the window is kept for signs of life, so that the server's bound
 * on requests never delays them.
 */

import type { Socket } from 'node:net';
import { ClosedError } from '../../base/error.js';
import { type Logger, silentLogger } from '../../base/log.js';
import { Command, CommandFlag, EXTENDED_REQUEST_BYTES, REQUEST_BYTES } from '../codec/constant.js';
import { NbdDisconnectedError, NbdProtocolError, NbdRequestError } from '../codec/error.js';
import { putCompactRequest, putExtendedRequest } from '../codec/frame.js';
import type { PatienceOptions } from './contract.js';
import { type Ask, Exchange } from './exchange.js';
import type { Attached } from './handshake.js';
import { ReplyReceiver } from './receiver.js';
import { SilenceWatch } from './silence.js';
import { underSignal } from './under-signal.js';
import { Window } from './window.js';

/** Time in which a server closes after DISC, in ms. */
const FAREWELL_MS = 1000;

export interface ConnectionOptions {
  maxInFlight: number;
  patience?: PatienceOptions | undefined;
  log?: Logger | undefined;
}

export class Connection {
  /** Resolves when the connection has ended; never rejects. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #extended: boolean;
  readonly #contextIds: ReadonlySet<number>;
  readonly #window: Window;
  readonly #inFlight = new Map<number, Exchange>();
  readonly #receiver: ReplyReceiver;
  readonly #log: Logger;
  readonly #watch: SilenceWatch | undefined;
  #nextCookie = 0;
  #corked = false;
  #failure: Error | undefined;
  #farewell: Promise<void> | undefined;
  /** True once DISC is sent; the end of the connection is expected then. */
  #left = false;
  #onIdle: (() => void) | undefined;

  constructor(attached: Attached, { maxInFlight, patience, log = silentLogger }: ConnectionOptions) {
    const { socket, agreement, leftover } = attached;
    this.#socket = socket;
    this.#log = log;
    this.#extended = agreement.replies === 'extended';
    this.#contextIds = new Set(agreement.contexts.values());
    this.#window = new Window(patience === undefined ? maxInFlight : Math.max(1, maxInFlight - 1));
    this.#watch = patience === undefined ? undefined : this.#watched(patience);
    this.#receiver = new ReplyReceiver(agreement.replies, {
      find: (cookieHigh, cookieLow) => (cookieHigh === 0 ? this.#inFlight.get(cookieLow) : undefined),
      finished: (exchange, cookieLow) => this.#finished(exchange, cookieLow),
    });
    socket.on('data', (piece: Buffer) => this.#receive(piece));
    socket.on('error', (cause) => this.destroy(new NbdDisconnectedError('connection to the NBD server broke', { cause })));
    socket.on('end', () => this.destroy(new NbdDisconnectedError('NBD server closed the connection')));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.destroy(new NbdDisconnectedError('connection to the NBD server is gone'));
        resolve();
      });
    });
    if (socket.destroyed) this.destroy(new NbdDisconnectedError('connection to the NBD server is gone'));
    if (leftover.length > 0) this.#receive(leftover);
    socket.resume();
  }

  /** Reason why the connection takes no more requests; `undefined` while it does. */
  get failure(): Error | undefined {
    return this.#failure ?? (this.#farewell === undefined ? undefined : new ClosedError('NBD connection'));
  }

  /** Sends a request. Resolves with the exchange when its reply is complete and good. */
  async ask(ask: Ask, signal: AbortSignal | undefined): Promise<Exchange> {
    const turn = this.failure === undefined ? this.#window.enter(signal) : undefined;
    if (turn !== undefined) await turn;
    if (this.failure !== undefined) throw this.failure;
    const exchange = new Exchange(ask, this.#contextIds);
    const sent = this.#send(exchange);
    if (signal === undefined) {
      await exchange.settled;
      return exchange;
    }
    return underSignal(exchange, sent, signal);
  }

  /** Finishes the requests in flight, sends DISC and closes. */
  disconnect(): Promise<void> {
    this.#farewell ??= this.#leave();
    return this.#farewell;
  }

  /**
   * Ends the connection at once; all waiting requests reject with `error`. The first error counts.
   */
  destroy(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = this.#left ? new ClosedError('NBD connection') : error;
    if (this.#farewell === undefined) this.#log.debug({ err: error, inFlight: this.#inFlight.size }, 'NBD connection ended');
    this.#window.close(error);
    for (const exchange of this.#inFlight.values()) exchange.die(error);
    this.#inFlight.clear();
    this.#watch?.end();
    this.#socket.destroy();
    this.#onIdle?.();
  }

  /** Resolves when the socket has passed the request on, or is gone. */
  #send(exchange: Exchange): Promise<void> {
    const { ask } = exchange;
    while (this.#inFlight.has(this.#nextCookie)) this.#nextCookie = (this.#nextCookie + 1) >>> 0;
    const cookieLow = this.#nextCookie;
    this.#nextCookie = (cookieLow + 1) >>> 0;
    this.#watch?.sends(exchange);
    this.#inFlight.set(cookieLow, exchange);
    const header = Buffer.allocUnsafe(this.#extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES);
    const flags = ask.flags | (this.#extended && ask.payload !== undefined ? CommandFlag.PAYLOAD_LEN : 0);
    const fields = { flags, type: ask.type, cookieHigh: 0, cookieLow, offset: ask.offset, lengthBytes: ask.lengthBytes };
    if (this.#extended) putExtendedRequest(header, 0, fields);
    else putCompactRequest(header, 0, fields);
    this.#cork();
    if (ask.payload === undefined) {
      this.#socket.write(header);
      return Promise.resolve();
    }
    const { payload } = ask;
    this.#socket.write(header);
    return new Promise((resolve) => this.#socket.write(payload, () => resolve()));
  }

  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #receive(piece: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#watch?.heard();
    try {
      this.#receiver.push(piece);
    } catch (error) {
      this.destroy(error instanceof NbdProtocolError ? error : new NbdProtocolError('reply could not be taken', { cause: error }));
    }
  }

  #finished(exchange: Exchange, cookieLow: number): void {
    this.#inFlight.delete(cookieLow);
    if (this.#watch?.finished(exchange) !== true) this.#window.leave();
    // The server announces that it goes away. The client must leave then ("Terminating the
    // transmission phase").
    exchange.settled.catch((error: unknown) => {
      if (error instanceof NbdRequestError && error.code === 'ESHUTDOWN') return this.disconnect();
      return undefined;
    });
    if (this.#inFlight.size === 0) this.#onIdle?.();
  }

  #watched(patience: PatienceOptions): SilenceWatch {
    const connection = {
      inFlight: this.#inFlight,
      send: (exchange: Exchange): void => void this.#send(exchange),
      end: (error: Error): void => this.destroy(error),
    };
    return new SilenceWatch(connection, patience);
  }

  async #leave(): Promise<void> {
    this.#window.close(new ClosedError('NBD connection'));
    if (this.#failure === undefined && this.#inFlight.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    if (this.#failure === undefined) {
      const header = Buffer.alloc(this.#extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES);
      const fields = { flags: 0, type: Command.DISC, cookieHigh: 0, cookieLow: this.#nextCookie, offset: 0, lengthBytes: 0 };
      if (this.#extended) putExtendedRequest(header, 0, fields);
      else putCompactRequest(header, 0, fields);
      this.#left = true;
      this.#socket.end(header);
      const timer = setTimeout(() => this.destroy(new ClosedError('NBD connection')), FAREWELL_MS);
      await this.closed;
      clearTimeout(timer);
    } else await this.closed;
  }
}
