/**
 * The sockets of one admin API: any number of addresses, all answered by the same handler.
 *
 * Invariants: a connection is known to be from TCP for as long as it lives, also after its peer has gone; closing ends all connections and
 * removes the socket files that were made here.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { SocketAddress } from '../config/address.js';
import { type BindOptions, bind } from './listen.js';

/** Longer than scrapers wait between two requests. */
const keepAliveMs = 72_000;

export class Listeners {
  readonly #onRequest: RequestListener;
  readonly #options: BindOptions;
  readonly #tcp = new WeakSet<Socket>();
  readonly #open: { server: Server; address: SocketAddress; removeFile(): void }[] = [];

  constructor(onRequest: RequestListener, options: BindOptions) {
    this.#onRequest = onRequest;
    this.#options = options;
  }

  get addresses(): SocketAddress[] {
    return this.#open.map(({ address }) => address);
  }

  isTcp(socket: Socket): boolean {
    return this.#tcp.has(socket);
  }

  /** @throws CopseError as `bind` does */
  async listen(wanted: SocketAddress): Promise<SocketAddress> {
    const server = createServer({ keepAliveTimeout: keepAliveMs, requestTimeout: 0 }, this.#onRequest);
    if (wanted.kind === 'tcp') server.on('connection', (socket) => this.#tcp.add(socket));
    const { address, removeFile } = await bind(server, wanted, this.#options);
    // Of the accept queue's errors (EMFILE and the like) none may end the daemon.
    server.on('error', () => {});
    this.#open.push({ server, address, removeFile });
    return address;
  }

  /** Ends connections at once. */
  async close(): Promise<void> {
    const closed = this.#open.splice(0).map(({ server, removeFile }) => {
      removeFile();
      const done = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return done;
    });
    await Promise.all(closed);
  }
}
