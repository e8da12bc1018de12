/** Another node as this process sees it: the same contract as `NbdPeer`, over the simulated network, and the probe that pings it. */

import { waitFor } from '../../src/base/deadline.js';
import { errorCode } from '../../src/base/error.js';
import type { RangeSink } from '../../src/block/sink.js';
import type { LivePeer } from '../../src/cluster/health/member-table.js';
import type { PingAnswer, Probe } from '../../src/cluster/health/probe.js';
import { type CachedRun, type PeerContent, PeerError, type PeerRequestOptions } from '../../src/cluster/peer.js';
import { requestError } from '../../src/peer/client/failure.js';
import type { Connection } from './network.js';
import { type Process, processOf } from './process.js';

const connectTimeoutMs = 2000;

export class WirePeer implements LivePeer {
  readonly id: string;
  readonly #process: Process;
  /** By role and priority, as exports are. */
  readonly #links = new Map<string, Promise<Connection>>();
  readonly #open = new Set<Connection>();
  #reason: PeerError | undefined;

  constructor(process: Process, id: string) {
    this.#process = process;
    this.id = id;
  }

  readHome(_content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options: PeerRequestOptions = {}): Promise<void> {
    return this.#read('home', offset, lengthBytes, sink, options);
  }

  readHeld(_content: PeerContent, offset: number, lengthBytes: number, sink: RangeSink, options: PeerRequestOptions = {}): Promise<void> {
    return this.#read('held', offset, lengthBytes, sink, options);
  }

  async cacheHome(_content: PeerContent, offset: number, lengthBytes: number, options: PeerRequestOptions = {}): Promise<void> {
    const ask = { role: 'home', background: options.background === true, offset, lengthBytes } as const;
    this.#process.inspector.asks(this.#process, this.id, 'home');
    await this.#ask(
      ask,
      options,
      (server, signal) => server.serveCache(this.#process, ask, signal),
      () => {},
    );
  }

  async cachedRuns(_content: PeerContent, offset: number, lengthBytes: number, options: PeerRequestOptions = {}): Promise<CachedRun[]> {
    const ask = { role: 'held', background: options.background === true, offset, lengthBytes } as const;
    const { inspector } = this.#process;
    inspector.asks(this.#process, this.id, 'held');
    const survey = inspector.surveys(this.#process, this.id, lengthBytes);
    const runs: CachedRun[] = [];
    const serve = async (server: Process): Promise<CachedRun[]> => {
      survey.answered();
      return server.cachedRuns(ask);
    };
    // One message, however many runs.
    await this.#ask(
      ask,
      options,
      async (server) => [await serve(server)],
      (part) => runs.push(...part),
    );
    survey.arrived();
    return runs;
  }

  destroy(reason: string): void {
    this.#reason ??= new PeerError('ERR_PEER_GONE', this.id, reason);
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
    this.#links.clear();
  }

  async #read(role: 'home' | 'held', offset: number, lengthBytes: number, sink: RangeSink, options: PeerRequestOptions): Promise<void> {
    const ask = { role, background: options.background === true, offset, lengthBytes };
    const { inspector } = this.#process;
    const request = inspector.requests(this.#process, this.id, ask);
    try {
      await this.#ask(
        ask,
        options,
        (server, signal) => server.serveRead(this.#process, ask, signal),
        (part) => {
          request.delivered(part.length);
          sink.data(part);
        },
      );
      request.ended(undefined);
    } catch (error) {
      request.ended(errorCode(error));
      throw error;
    }
  }

  async #ask<Part>(
    ask: { role: 'home' | 'held'; background: boolean },
    { signal }: PeerRequestOptions,
    serve: (server: Process, signal: AbortSignal) => Promise<Part[]>,
    onPart: (part: Part) => void,
  ): Promise<void> {
    let connection: Connection;
    try {
      if (this.#reason !== undefined) throw this.#reason;
      connection = await waitFor('connection', this.#connection(`${ask.role} ${ask.background}`), { signal });
    } catch (error) {
      if (errorCode(error) === 'ERR_ABORTED') throw error;
      throw this.#reason ?? new PeerError('ERR_PEER_GONE', this.id, 'no connection', { cause: error });
    }
    let answer: unknown;
    try {
      await connection.ask({
        signal,
        serve: async (end) => {
          try {
            return await serve(processOf(connection.server), end);
          } catch (error) {
            answer = error;
            throw error;
          }
        },
        onPart,
      });
    } catch (error) {
      if (error === answer) throw requestError(this.id, ask.role, ask.role, error);
      // What is left comes of the sink, or of whoever asks.
      if (connection.isOpen || errorCode(error) !== 'ERR_CONNECTION') throw error;
      throw this.#reason ?? new PeerError('ERR_PEER_GONE', this.id, 'disconnected', { cause: error });
    }
  }

  #connection(key: string): Promise<Connection> {
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const { network, clock } = this.#process;
    const attempt = waitFor('connection', network.connect(this.#process, this.id), { timeoutMs: connectTimeoutMs, clock });
    this.#links.set(key, attempt);
    const forget = (): void => {
      if (this.#links.get(key) === attempt) this.#links.delete(key);
    };
    return attempt.then(
      (connection) => {
        if (!connection.isOpen || this.#reason !== undefined) {
          forget();
          connection.destroy();
          throw this.#reason ?? new Error('closed at once');
        }
        this.#open.add(connection);
        connection.onLost = () => {
          this.#open.delete(connection);
          forget();
        };
        return connection;
      },
      (error: unknown) => {
        forget();
        throw error;
      },
    );
  }
}

/** Ping and statement in one, over a connection of its own. */
export class WireProbe implements Probe {
  readonly #process: Process;
  readonly #hostId: string;
  readonly #onLost: () => void;
  #connection: Connection | undefined;

  constructor(process: Process, hostId: string, onLost: () => void) {
    this.#process = process;
    this.#hostId = hostId;
    this.#onLost = onLost;
  }

  async ping({ signal }: { signal: AbortSignal }): Promise<PingAnswer> {
    const { network, clock } = this.#process;
    try {
      const connection =
        this.#connection ?? (await this.#connect(waitFor('connection', network.connect(this.#process, this.#hostId), { signal })));
      const startMs = clock.nowMs();
      let answer: PingAnswer | undefined;
      await connection.ask({
        signal,
        serve: async () => [processOf(connection.server).statement],
        onPart: (statement) => {
          answer = { statement, rttUs: Math.max(1, Math.round((clock.nowMs() - startMs) * 1000)) };
        },
      });
      if (answer === undefined) throw new Error('no answer');
      return answer;
    } catch (error) {
      this.#drop();
      throw error;
    }
  }

  close(): void {
    this.#drop();
  }

  async #connect(attempt: Promise<Connection>): Promise<Connection> {
    const connection = await attempt;
    this.#connection = connection;
    connection.onLost = () => {
      const wasIdle = connection.pendingCount === 0;
      this.#connection = undefined;
      if (wasIdle) this.#onLost();
    };
    return connection;
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.destroy();
  }
}
