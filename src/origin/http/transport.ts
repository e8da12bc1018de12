/**
 * Connections to HTTP origins. Each set of trusted authorities has two pools, one for reads that
 * guests wait for and one for prefetch, so that neither stands in front of the other. HTTP/1.1,
 * kept alive, bounded per host.
 *
 * A kept connection may have died silently, and then its neighbours may have died, too. So a pool
 * is retired with the first of its connections that was silent: its requests under way end on it,
 * and new ones are made on new connections.
 */
import { readFileSync } from 'node:fs';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { ClosedError } from '../../base/error.js';
import { setUserTimeout } from '../../base/user-timeout.js';
import { OriginError, originUserTimeoutMs } from '../origin.js';

export interface TransportOptions {
  /** Most connections to one host for demand reads; default 16. */
  demandConnections?: number | undefined;
  /** Most connections to one host for prefetch; default 8. */
  prefetchConnections?: number | undefined;
  /** Deadline of a connect, in ms; default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** Longest time from a sent request to the head of its answer, in ms; default 10 000. */
  headerTimeoutMs?: number | undefined;
  /** Longest time between two pieces of a body, in ms; default 10 000. */
  idleTimeoutMs?: number | undefined;
}

type Priority = 'demand' | 'prefetch';

export class Transport {
  readonly #options: TransportOptions;
  readonly #agents = new Map<string, Agent>();
  /** Pools that get no new requests. They end with their requests under way. */
  readonly #retired = new Set<Agent>();
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * @returns the pool for these authorities, made at its first use. Until then no file is read and
   * no connection is made
   * @throws ClosedError after `close`; OriginError `ERR_ORIGIN_REFUSED` if the file of authorities
   * can't be read
   */
  dispatcher(priority: Priority, caFile: string | undefined): Dispatcher {
    if (this.#closed) throw new ClosedError('the HTTP origin');
    const key = `${priority} ${caFile ?? ''}`;
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = this.#createAgent(priority, caFile);
      this.#agents.set(key, agent);
    }
    return agent;
  }

  /** Retires a pool that had a silent connection: the next request is made on a new one. */
  retire(dispatcher: Dispatcher): void {
    for (const [key, agent] of this.#agents) {
      if (agent !== dispatcher) continue;
      this.#agents.delete(key);
      this.#retired.add(agent);
      const forget = (): boolean => this.#retired.delete(agent);
      agent.close().then(forget, forget);
    }
  }

  /** Ends the requests under way with `ERR_CLOSED`. */
  async close(): Promise<void> {
    this.#closed = true;
    const agents = [...this.#agents.values(), ...this.#retired];
    await Promise.all(agents.map((agent) => agent.destroy(new ClosedError('the HTTP origin'))));
  }

  #createAgent(priority: Priority, caFile: string | undefined): Agent {
    const { demandConnections = 16, prefetchConnections = 8, connectTimeoutMs = 10_000 } = this.#options;
    const { headerTimeoutMs = 10_000, idleTimeoutMs = 10_000 } = this.#options;
    const connect = buildConnector({
      allowH2: false,
      timeout: connectTimeoutMs,
      ...(caFile === undefined ? {} : { ca: readAuthorities(caFile) }),
    });
    return new Agent({
      connections: priority === 'demand' ? demandConnections : prefetchConnections,
      pipelining: 1,
      allowH2: false,
      headersTimeout: headerTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      connect: (options, callback) => {
        connect(options, (...result) => {
          const [error, socket] = result;
          if (error === null) setUserTimeout(socket, originUserTimeoutMs);
          callback(...result);
        });
      },
    });
  }
}

function readAuthorities(caFile: string): Buffer {
  try {
    return readFileSync(caFile);
  } catch (cause) {
    throw new OriginError('ERR_ORIGIN_REFUSED', `the certificate authorities in ${caFile} can't be read`, { cause });
  }
}
