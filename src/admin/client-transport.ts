/**
 * HTTP to a daemon: requests with answers in JSON or text, and jobs.
 *
 * Errors keep the codes that the daemon threw. This file adds `ERR_NO_DAEMON`, `ERR_DAEMON_LOST`,
 * and `ERR_ABORTED` for jobs that the caller ends.
 */

import type { Readable } from 'node:stream';
import { Agent, type Dispatcher } from 'undici';
import { AbortedError, errorCode } from '../base/error.js';
import { foreignErrorCode } from '../base/error-code.js';
import type { JobOptions, Progress } from '../base/job.js';
import type { Closeable } from '../base/lifecycle.js';
import type { Secret } from '../base/secret.js';
import { formatAddress, type SocketAddress } from '../config/address.js';
import { DaemonAnswerError, DaemonLostError, NoDaemonError } from './daemon-error.js';
import { readJob } from './job-reader.js';

interface Call {
  method: Dispatcher.HttpMethod;
  path: string;
  body?: object | undefined;
  signal?: AbortSignal | undefined;
}

/** Codes of connection errors that come before a request is sent. */
const neverConnected = [
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'EPERM',
  'ENOTSOCK',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

export class ClientTransport implements Closeable {
  readonly #address: SocketAddress;
  readonly #agent: Agent;
  readonly #baseUrl: string;
  readonly #authorization: Record<string, string>;

  /** @param token for an address on TCP */
  constructor(address: SocketAddress, token: Secret | undefined) {
    this.#address = address;
    this.#authorization = token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` };
    const connect = address.kind === 'unix' ? { socketPath: address.path, timeout: 10_000 } : { timeout: 10_000 };
    // A request may wait for an origin, and a job for its end. The daemon keeps the deadlines.
    this.#agent = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0 });
    this.#baseUrl = address.kind === 'unix' ? 'http://localhost' : `http://${formatAddress(address).slice('tcp:'.length)}`;
  }

  async json<T>(call: Call): Promise<T> {
    return JSON.parse(await this.text(call)) as T;
  }

  async text(call: Call): Promise<string> {
    const body = await this.#send(call);
    try {
      return await body.text();
    } catch (error) {
      throw new DaemonLostError(this.#address, error);
    }
  }

  /** @param what name of the job in the error if the caller ends it, as in `warm debian-12` */
  async job<T extends Progress>(what: string, path: string, { signal, onProgress }: JobOptions, body?: object): Promise<T> {
    try {
      const answer = await this.#send({ method: 'POST', path, body, signal });
      const result = await readJob<T>(answer, onProgress);
      if (result === undefined) throw new DaemonLostError(this.#address);
      return result;
    } catch (error) {
      if (signal.aborted) throw new AbortedError(what, { cause: error });
      if (error instanceof DaemonAnswerError || error instanceof NoDaemonError || error instanceof DaemonLostError) throw error;
      throw new DaemonLostError(this.#address, error);
    }
  }

  /** @returns the body of an answer with a 2xx status */
  async #send({ method, path, body, signal }: Call): Promise<Readable & { text(): Promise<string> }> {
    let answer: Dispatcher.ResponseData;
    try {
      answer = await this.#agent.request({
        origin: this.#baseUrl,
        path,
        method,
        headers: { ...this.#authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (neverConnected.includes(errorCode(error))) throw new NoDaemonError(this.#address, error);
      throw new DaemonLostError(this.#address, error);
    }
    if (answer.statusCode < 300) return answer.body;
    throw answeredError(answer.statusCode, await answer.body.text().catch(() => ''));
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function answeredError(status: number, body: string): DaemonAnswerError {
  try {
    const { code, message } = JSON.parse(body) as { code?: unknown; message?: unknown };
    if (typeof code === 'string' && typeof message === 'string') return new DaemonAnswerError(foreignErrorCode(code), message);
  } catch {
    // Another program listens there, or a proxy stands between.
  }
  return new DaemonAnswerError(
    'ERR_ADMIN_PROTOCOL',
    `another program than a copse daemon answers there: HTTP status ${status}, ${JSON.stringify(body.slice(0, 80))}`,
  );
}
