/**
 * One request and its answer. Pieces go to the sink as they leave the parser, without a copy and
 * without a promise each.
 *
 * Invariants: the attempt settles exactly once. It delivers nothing before the head was judged
 * good, nothing after it settled, and nothing beyond the wanted length. An unwanted body is not
 * downloaded; a small one is drained, so that the connection lives on.
 */

import type { Dispatcher } from 'undici';
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { AbortedError } from '../../base/error.js';
import type { RangeSink } from '../../block/sink.js';
import { OriginError } from '../origin.js';
import { connectionError } from './failure.js';
import { judge, type WantedRange } from './response.js';
import type { HttpHeaders } from './validator.js';

/** Result of an attempt that did not fail. */
export type Answer = { kind: 'delivered'; headers: HttpHeaders; sizeBytes: number } | { kind: 'redirect'; location: string };

/** Longest unwanted body that is read to its end, in bytes. A longer one is cut off. */
const drainBytes = 16 * 1024;

export class Attempt implements Dispatcher.DispatchHandler {
  readonly #wanted: WantedRange;
  readonly #sink: RangeSink;
  readonly #signal: AbortSignal | undefined;
  readonly #resolve: (answer: Answer) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #headers: HttpHeaders | undefined;
  #sizeBytes = 0;
  #doneBytes = 0;
  #drainedBytes = 0;
  #settled = false;

  /** Listens to `signal` until it settles. */
  constructor(
    wanted: WantedRange,
    sink: RangeSink,
    signal: AbortSignal | undefined,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
  ) {
    this.#wanted = wanted;
    this.#sink = sink;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    if (signal?.aborted) this.#onAbort();
    else watchAbort(signal, this.#onAbort);
  }

  get settled(): boolean {
    return this.#settled;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The caller gave up while this waited for a connection.
    if (this.#settled) controller.abort(new AbortedError(this.#wanted.what()));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: HttpHeaders): void {
    if (status < 200 || this.#settled) return;
    const verdict = judge(status, headers, this.#wanted);
    if (verdict.kind === 'body') {
      this.#headers = headers;
      this.#sizeBytes = verdict.sizeBytes;
      return;
    }
    if (verdict.kind === 'redirect') this.#settle(() => this.#resolve(verdict));
    else this.#settle(() => this.#reject(verdict.error));
    const length = Number(headers['content-length'] ?? 0);
    if (!(length <= drainBytes)) controller.abort(new AbortedError(this.#wanted.what()));
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#settled) {
      this.#drainedBytes += piece.length;
      if (this.#drainedBytes > drainBytes) controller.abort(new AbortedError(this.#wanted.what()));
      return;
    }
    this.#doneBytes += piece.length;
    if (this.#doneBytes > this.#wanted.lengthBytes) {
      this.#fail(new OriginError('ERR_ORIGIN_PROTOCOL', `${this.#wanted.what()}: the server sends more than it was asked for`));
      return;
    }
    try {
      this.#sink.data(piece);
    } catch (error) {
      this.#fail(error);
    }
  }

  onResponseEnd(): void {
    if (this.#settled) return;
    const headers = this.#headers;
    if (headers === undefined || this.#doneBytes < this.#wanted.lengthBytes) {
      const text = `${this.#wanted.what()}: the answer ended after ${this.#doneBytes} bytes`;
      this.#fail(new OriginError('ERR_ORIGIN_UNAVAILABLE', text));
      return;
    }
    this.#settle(() => this.#resolve({ kind: 'delivered', headers, sizeBytes: this.#sizeBytes }));
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.fail(error);
  }

  /** Reports a failure outside of the callbacks. */
  fail(error: unknown): void {
    if (!this.#settled) this.#settle(() => this.#reject(connectionError(this.#wanted.what(), error)));
  }

  readonly #onAbort = (): void => this.#fail(new AbortedError(this.#wanted.what(), { cause: this.#signal?.reason }));

  /** Rejects and drops the connection: the rest of its answer is of no use. */
  #fail(error: unknown): void {
    if (this.#settled) return;
    this.#settle(() => this.#reject(error));
    this.#controller?.abort(error instanceof Error ? error : new AbortedError(this.#wanted.what()));
  }

  #settle(then: () => void): void {
    this.#settled = true;
    unwatchAbort(this.#signal, this.#onAbort);
    then();
  }
}
