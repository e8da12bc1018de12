/**
 * Range requests to one URL, through its redirects.
 *
 * The end of a redirect is remembered for a minute, so its latency is paid once and not with each
 * read. After a failure there, the next request goes to the first URL again. After a final "no"
 * there, such as an expired signature, the request is repeated from the first URL at once.
 */

import type { Dispatcher } from 'undici';
import { type Clock, systemClock } from '../../base/clock.js';
import { displayUrl } from '../../base/display-url.js';
import { CopseError, errorCode } from '../../base/error.js';
import type { SourceReadOptions } from '../../block/read-options.js';
import type { RangeSink } from '../../block/sink.js';
import { type OriginCredential, OriginError } from '../origin.js';
import { CountingSink } from '../sink.js';
import { httpUrl } from '../url.js';
import { type Answer, Attempt } from './attempt.js';
import type { WantedRange } from './response.js';
import { type HttpTarget, httpTarget, redirectedTarget } from './target.js';
import { Transport, type TransportOptions } from './transport.js';
import { conditionsOf, type HttpHeaders, type HttpPin } from './validator.js';

export interface HttpOptions extends TransportOptions {
  credentials?: readonly OriginCredential[] | undefined;
  clock?: Clock | undefined;
  /** Time that the end of a redirect is remembered, in ms; default 60 000. */
  redirectTtlMs?: number | undefined;
}

const maxRedirects = 5;

export class HttpRequester {
  readonly display: string;
  readonly #first: HttpTarget;
  readonly #transport: Transport;
  readonly #credentials: readonly OriginCredential[];
  readonly #clock: Clock;
  readonly #redirectTtlMs: number;
  #remembered: { target: HttpTarget; untilMs: number } | undefined;

  /** Makes no connection. @throws OriginError `ERR_ORIGIN_REFUSED` if `url` is no HTTP URL */
  constructor(url: string, options: HttpOptions) {
    this.display = displayUrl(url);
    this.#credentials = options.credentials ?? [];
    this.#first = httpTarget(httpUrl(url), this.#credentials);
    this.#transport = new Transport(options);
    this.#clock = options.clock ?? systemClock;
    this.#redirectTtlMs = options.redirectTtlMs ?? 60_000;
  }

  /**
   * Delivers `[offset, offset + lengthBytes)` of the pinned content to the sink, or of any content
   * if `pin` is undefined.
   *
   * @returns the response's headers and the content's size
   * @throws OriginError, AbortedError, ClosedError; an error of the sink as it is
   */
  async get(
    offset: number,
    lengthBytes: number,
    pin: HttpPin | undefined,
    sink: RangeSink,
    options: SourceReadOptions,
  ): Promise<{ headers: HttpHeaders; sizeBytes: number }> {
    const remembered = this.#recall();
    if (remembered === undefined) return this.#follow(offset, lengthBytes, pin, sink, options);
    const counting = new CountingSink(sink);
    try {
      const answer = await this.#attempt(remembered, offset, lengthBytes, pin, counting, options);
      if (answer.kind === 'delivered') return answer;
    } catch (error) {
      if (!(error instanceof OriginError)) throw error;
      this.#forget(remembered);
      if (error.retryable || counting.deliveredBytes > 0) throw error;
    }
    this.#forget(remembered);
    return this.#follow(offset, lengthBytes, pin, sink, options);
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #follow(
    offset: number,
    lengthBytes: number,
    pin: HttpPin | undefined,
    sink: RangeSink,
    options: SourceReadOptions,
  ): Promise<{ headers: HttpHeaders; sizeBytes: number }> {
    let target = this.#first;
    for (let redirectCount = 0; redirectCount <= maxRedirects; redirectCount += 1) {
      const answer = await this.#attempt(target, offset, lengthBytes, pin, sink, options);
      if (answer.kind === 'delivered') {
        if (target !== this.#first) this.#remembered = { target, untilMs: this.#clock.nowMs() + this.#redirectTtlMs };
        return answer;
      }
      target = redirectedTarget(target, answer.location, this.#credentials);
    }
    throw new OriginError('ERR_ORIGIN_REFUSED', `${this.display} redirects more than ${maxRedirects} times`);
  }

  #attempt(
    target: HttpTarget,
    offset: number,
    lengthBytes: number,
    pin: HttpPin | undefined,
    sink: RangeSink,
    options: SourceReadOptions,
  ): Promise<Answer> {
    const wanted: WantedRange = { offset, lengthBytes, pin, what: () => `${target.display}, ${lengthBytes} bytes at ${offset}` };
    const headers = [...target.headers, 'range', `bytes=${offset}-${offset + lengthBytes - 1}`];
    if (pin !== undefined) headers.push(...conditionsOf(pin));
    return new Promise((resolve, reject) => {
      let dispatcher: Dispatcher | undefined;
      const fail = (error: unknown): void => {
        if (dispatcher !== undefined && wasSilent(error)) this.#transport.retire(dispatcher);
        reject(error);
      };
      const attempt = new Attempt(wanted, sink, options.signal, resolve, fail);
      if (attempt.settled) return;
      try {
        dispatcher = this.#transport.dispatcher(
          options.priority === undefined || options.priority === 'demand' ? 'demand' : 'prefetch',
          target.caFile,
        );
        dispatcher.dispatch({ origin: target.url.origin, path: target.path, method: 'GET', headers }, attempt);
      } catch (error) {
        attempt.fail(error instanceof CopseError ? error : (error ?? new Error('the request was refused')));
      }
    });
  }

  #recall(): HttpTarget | undefined {
    if (this.#remembered === undefined) return undefined;
    if (this.#clock.nowMs() < this.#remembered.untilMs) return this.#remembered.target;
    this.#remembered = undefined;
    return undefined;
  }

  #forget(target: HttpTarget): void {
    if (this.#remembered?.target === target) this.#remembered = undefined;
  }
}

/** True if no byte came on an established connection, or if none was acknowledged. */
function wasSilent(error: unknown): boolean {
  const cause = error instanceof OriginError ? error.cause : undefined;
  return ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'].includes(errorCode(cause));
}
