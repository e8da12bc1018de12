/**
 * The network between hosts: connections that keep order, take time, stall while a way is cut, and end with a reset when a process ends whose machine still answers.
 *
 * Of a machine that is silent (its power is cut, its link is down) nobody hears anything: connections to it stall until whoever waits gives up.
 */
import { AbortedError, CopseError } from '../../src/base/error.js';
import { foreignErrorCode } from '../../src/base/error-code.js';
import type { Chance } from './chance.js';
import type { Owner, Schedule } from './schedule.js';

export interface Machine {
  readonly id: string;
  /** Sends nothing and hears nothing. */
  isSilent: boolean;
  /** Times that everything to and from it takes longer. */
  slowness: number;
}

export interface Endpoint extends Owner {
  readonly machine: Machine;
  /** Connections that end with it. */
  readonly connections: Set<Connection>;
}

const retransmitMs = 250;
/** For one part of a reply. */
const transferMs = 0.3;

export class Network {
  readonly schedule: Schedule;
  readonly #chance: Chance;
  readonly #cuts = new Set<string>();
  /** The process that listens at a host; `undefined` while there is none. */
  readonly listener: (hostId: string) => { machine: Machine; process: Endpoint | undefined } | undefined;

  constructor(options: { schedule: Schedule; chance: Chance; listener: Network['listener'] }) {
    this.schedule = options.schedule;
    this.#chance = options.chance;
    this.listener = options.listener;
  }

  cut(fromId: string, toId: string): void {
    this.#cuts.add(`${fromId}>${toId}`);
  }

  heal(fromId: string, toId: string): void {
    this.#cuts.delete(`${fromId}>${toId}`);
  }

  /** Whether anything gets from the one to the other just now. */
  isOpen(from: Machine, to: Machine): boolean {
    return !from.isSilent && !to.isSilent && !this.#cuts.has(`${from.id}>${to.id}`);
  }

  /** Rejects when nobody listens; never settles while nothing gets through. */
  connect(client: Endpoint, hostId: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const there = this.listener(hostId);
      if (there === undefined) {
        reject(new Error('no such host'));
        return;
      }
      const { machine } = there;
      this.#pass(client.machine, machine, 0, () => {
        const server = this.listener(hostId)?.process;
        if (server === undefined || server.hasEnded) {
          this.#pass(machine, client.machine, 0, () => this.#at(client, () => reject(new Error('refused'))));
          return;
        }
        // The kernel accepts, but the handshake takes a process that runs.
        this.#at(server, () => this.#accept(client, server, resolve));
      });
    });
  }

  #accept(client: Endpoint, server: Endpoint, resolve: (connection: Connection) => void): void {
    const connection = new Connection(this, client, server);
    connection.send(server, client, () => resolve(connection));
  }

  /** Runs it in the process now, or when that goes on. */
  #at(endpoint: Endpoint, run: () => void): void {
    if (endpoint.isStopped) this.schedule.at(0, run, endpoint);
    else if (!endpoint.hasEnded) run();
  }

  /** Calls `arrived` once it got through. */
  #pass(from: Machine, to: Machine, delayMs: number, arrived: () => void): void {
    const latencyMs = this.#chance.between(0.1, 0.4) * Math.max(from.slowness, to.slowness);
    const attempt = (): void => {
      if (this.isOpen(from, to)) arrived();
      else this.schedule.at(retransmitMs, attempt);
    };
    this.schedule.at(delayMs + latencyMs, attempt);
  }

  /** For connections. */
  transmit(connection: Connection, from: Endpoint, to: Endpoint, delayMs: number, arrived: () => void): void {
    const slowness = Math.max(from.machine.slowness, to.machine.slowness);
    this.#pass(from.machine, to.machine, delayMs * slowness, () => {
      if (connection.isClosedAt(to)) return;
      if (to.hasEnded) connection.reset(to);
      else this.#at(to, () => !connection.isClosedAt(to) && arrived());
    });
  }

  /** Tells the other end that it is over. */
  tellEnd(connection: Connection, from: Endpoint, to: Endpoint): void {
    this.#pass(from.machine, to.machine, 0, () => this.#at(to, () => connection.closeAt(to, 'reset')));
  }
}

interface Pending {
  fail(error: Error): void;
}

export class Connection {
  readonly client: Endpoint;
  readonly server: Endpoint;
  readonly #network: Network;
  readonly #closedAt = new Set<Endpoint>();
  readonly #pending = new Set<Pending>();
  /** Ends what the server does for it. */
  readonly #serverEnd = new AbortController();
  /** Called when the client's end is closed by somebody else. */
  onLost: () => void = () => {};

  constructor(network: Network, client: Endpoint, server: Endpoint) {
    this.#network = network;
    this.client = client;
    this.server = server;
    client.connections.add(this);
    server.connections.add(this);
  }

  get isOpen(): boolean {
    return !this.#closedAt.has(this.client);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  isClosedAt(end: Endpoint): boolean {
    return this.#closedAt.has(end);
  }

  send(from: Endpoint, to: Endpoint, arrived: () => void, delayMs = 0): void {
    this.#network.transmit(this, from, to, delayMs, arrived);
  }

  /** A request and its reply in parts. Rejects as `serve` does, with what `onPart` throws, with `ERR_ABORTED`, or when the connection ends. */
  ask<Part>(options: {
    signal: AbortSignal | undefined;
    serve: (signal: AbortSignal) => Promise<Part[]>;
    onPart: (part: Part) => void;
  }): Promise<void> {
    const { signal, serve, onPart } = options;
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        if (!this.#pending.delete(pending)) return;
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const pending: Pending = { fail: (error) => end(() => reject(error)) };
      const onAbort = (): void => pending.fail(new AbortedError('request to a peer'));
      this.#pending.add(pending);
      if (!this.isOpen) return pending.fail(new CopseError(foreignErrorCode('ERR_CONNECTION'), 'the connection is closed'));
      if (signal?.aborted) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      const reply = (parts: readonly Part[], index: number): void => {
        this.send(
          this.server,
          this.client,
          () => {
            const part = parts[index];
            if (part === undefined) return end(resolve);
            if (!this.#pending.has(pending)) return;
            try {
              onPart(part);
            } catch (error) {
              end(() => reject(error));
              return;
            }
            if (index + 1 === parts.length) end(resolve);
            else reply(parts, index + 1);
          },
          index < parts.length ? transferMs : 0,
        );
      };
      this.send(this.client, this.server, () => {
        serve(this.#serverEnd.signal).then(
          (parts) => reply(parts, 0),
          (error) => this.send(this.server, this.client, () => end(() => reject(error))),
        );
      });
    });
  }

  /** The client is done with it. */
  destroy(): void {
    if (!this.isOpen) return;
    this.onLost = () => {};
    this.closeAt(this.client, 'destroyed');
    this.#network.tellEnd(this, this.client, this.server);
  }

  /** The process at this end has ended; the machine says so. */
  reset(ended: Endpoint): void {
    const other = ended === this.client ? this.server : this.client;
    this.#network.tellEnd(this, ended, other);
  }

  closeAt(end: Endpoint, reason: string): void {
    if (this.#closedAt.has(end)) return;
    this.#closedAt.add(end);
    end.connections.delete(this);
    if (end === this.server) {
      this.#serverEnd.abort();
      return;
    }
    for (const pending of [...this.#pending])
      pending.fail(new CopseError(foreignErrorCode('ERR_CONNECTION'), `the connection ended: ${reason}`));
    this.onLost();
  }
}
