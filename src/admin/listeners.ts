/**
 * The sockets of one admin API. One handler answers at all addresses.
 *
 * Invariants:
 * - A connection counts as TCP for its whole life, also after its client has gone.
 * - Closing ends all connections, and removes the socket files that this server made.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { SocketAddress } from '../config/address.js';
import { type BindOptions, bind } from './listen.js';

/** Time that an idle connection is kept, in ms: longer than the interval of usual scrapers. */
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
    // No error of the accept queue, such as EMFILE, may end the daemon.
    server.on('error', () => {});
    this.#open.push({ server, address, removeFile });
    return address;
  }

  /** Ends all connections at once. */
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
