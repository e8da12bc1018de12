/**
 * The NBD server: accepts connections on any number of listeners, bounds connections and memory,
 * and stops in order.
 *
 * Invariant: no connection can delay another one. Connections share only bounded memory
 * (`request-memory.ts`).
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.js';
import type { Logger } from '../base/log.js';
import { native } from '../base/native/loader.js';
import { setUserTimeout } from '../base/user-timeout.js';
import { identifyClient } from './client-identity.js';
import { Connection } from './connection.js';
import type { ClientIdentity, ExportDirectory } from './export.js';
import { FailureLog } from './failure-log.js';
import { type ListenAddress, type Listener, listen } from './listener.js';
import { RequestMemory } from './request-memory.js';

export interface ServerLimits {
  connectionCount: number;
  handshakeTimeoutMs: number;
  requestsPerConnection: number;
  bytesPerConnection: number;
  requestMemoryBytes: number;
}

export interface ServerOptions {
  directory: ExportDirectory;
  limits: ServerLimits;
  log: Logger;
  clock?: Clock;
  /** False keeps all requests in JavaScript; by default native lanes answer on plain sockets. */
  fastPath?: boolean;
  /**
   * Time in which a TCP client must acknowledge bytes and open its window, in ms. The kernel probes
   * an idle client after that time. Default: the kernel's rule for sent bytes, a minute for idle
   * clients.
   */
  userTimeoutMs?: number;
}

/** Delay after the end of a connection before memory is trimmed, in ms. */
const trimMs = 10_000;

export class Server {
  readonly #options: ServerOptions;
  readonly #memory: RequestMemory;
  readonly #failures: FailureLog;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Map<Connection, Promise<void>>();
  #stopping = false;
  #refusedCount = 0;
  #isTrimDue = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.log, options.clock ?? systemClock);
    this.#memory = new RequestMemory(options.limits.requestMemoryBytes);
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Connections that were closed at once because there were too many. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** NBD URIs without export names. */
  get uris(): string[] {
    return this.#listeners.map((listener) => listener.uri);
  }

  /** @throws CopseError `ERR_LISTEN` */
  async listen(address: ListenAddress): Promise<string> {
    const listener = await listen(address, (socket) => this.#onSocket(socket));
    this.#listeners.push(listener);
    return listener.uri;
  }

  /** Serves a client on a stream that is connected already. Resolves when the client has left. */
  async accept(stream: Duplex, client: ClientIdentity): Promise<void> {
    const { directory, limits, log, clock = systemClock } = this.#options;
    if (this.#stopping || this.#connections.size >= limits.connectionCount) {
      this.#refusedCount += 1;
      if (!this.#stopping) log.warn({ peer: client.text, limit: limits.connectionCount }, 'too many connections: refused');
      stream.on('error', () => {});
      stream.destroy();
      return;
    }
    const connection = new Connection({
      stream,
      client,
      directory,
      memory: this.#memory,
      limits: { requests: limits.requestsPerConnection, bytes: limits.bytesPerConnection },
      handshakeTimeoutMs: limits.handshakeTimeoutMs,
      failures: this.#failures,
      log,
      clock,
      fastPath: this.#options.fastPath ?? true,
    });
    const served = connection.serve();
    this.#connections.set(connection, served);
    await served;
    this.#connections.delete(connection);
    this.#trimLater();
  }

  /** Returns memory that the allocator of native code keeps after many connections have gone. */
  #trimLater(): void {
    if (this.#isTrimDue) return;
    this.#isTrimDue = true;
    systemClock.after(trimMs, () => {
      this.#isTrimDue = false;
      void native.trimMemory();
    });
  }

  /** Accepts no more connections, lets requests under way end for `drainMs`, then closes hard. */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    const { clock = systemClock } = this.#options;
    const closed = this.#listeners.map((listener) => listener.close());
    for (const connection of this.#connections.keys()) connection.drain();
    const drained = Promise.all(this.#connections.values());
    const cancel = clock.after(drainMs, () => {
      for (const connection of this.#connections.keys()) connection.destroy();
    });
    await drained;
    cancel();
    await Promise.all(closed);
  }

  #onSocket(socket: Socket): void {
    const { userTimeoutMs } = this.#options;
    if (userTimeoutMs !== undefined) {
      setUserTimeout(socket, userTimeoutMs);
      // The kernel probes a connection on which nothing is sent, and ends it by the same rule.
      socket.setKeepAlive(true, userTimeoutMs);
    }
    void this.accept(socket, identifyClient(socket));
  }
}
