/**
 * Connections: for each set of trusted authorities two pools, one for what guests wait for and one for prefetch, so that neither stands in
 * front of the other. HTTP/1.1, kept alive, bounded per host.
 */
import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher } from 'undici';
import { ClosedError } from '../../base/error.js';
import { OriginError } from '../origin.js';

export interface TransportOptions {
  /** Most connections to one host for demand reads; default 16. */
  demandConnections?: number | undefined;
  /** Most connections to one host for prefetch; default 8. */
  prefetchConnections?: number | undefined;
  /** Until a connection stands; default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** From a request that was sent to the head of its answer; default 10 000. */
  headerTimeoutMs?: number | undefined;
  /** Between two pieces of a body; default 10 000. */
  idleTimeoutMs?: number | undefined;
}

type Priority = 'demand' | 'prefetch';

export class Transport {
  readonly #options: TransportOptions;
  readonly #agents = new Map<string, Agent>();
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * The pool for these authorities, made at its first use (no file is read and nobody is contacted before).
   *
   * @throws ClosedError after `close`; OriginError `ERR_ORIGIN_REFUSED` when the file of authorities can't be read
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

  /** Ends what is under way with `ERR_CLOSED`. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy(new ClosedError('the HTTP origin'))));
  }

  #createAgent(priority: Priority, caFile: string | undefined): Agent {
    const { demandConnections = 16, prefetchConnections = 8, connectTimeoutMs = 10_000 } = this.#options;
    const { headerTimeoutMs = 10_000, idleTimeoutMs = 10_000 } = this.#options;
    return new Agent({
      connections: priority === 'demand' ? demandConnections : prefetchConnections,
      pipelining: 1,
      allowH2: false,
      headersTimeout: headerTimeoutMs,
      bodyTimeout: idleTimeoutMs,
      connect: { timeout: connectTimeoutMs, ...(caFile === undefined ? {} : { ca: readAuthorities(caFile) }) },
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
