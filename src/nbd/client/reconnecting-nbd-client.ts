/**
 * An export that outlives its connections. It connects with the first request, and again after a
 * loss.
 *
 * When to use: for servers that may restart. Cost: one promise per call. It does not repeat
 * requests that were in flight when a connection was lost. Those reject with
 * `ERR_NBD_DISCONNECTED`, and the caller decides on a retry. A flush does not cover writes of a
 * lost connection, so a writer repeats them.
 *
 * Invariants: one attempt to connect runs at a time, and all callers share it. Attempts after a
 * failure keep a distance that doubles, with jitter. The first connection decides the size of the
 * export; a later one of another size rejects with `ERR_NBD_CHANGED`.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { ClosedError } from '../../base/error.js';
import { NbdChangedError } from '../codec/error.js';
import type { StatusExtent } from '../codec/frame.js';
import type {
  NbdBlockStatusOptions,
  NbdConnectOptions,
  NbdReadOptions,
  NbdReadSink,
  NbdRemote,
  NbdRequestOptions,
  NbdWriteOptions,
  NbdWriteZeroesOptions,
} from './contract.js';
import type { NbdTarget } from './dial.js';
import { NbdClient } from './nbd-client.js';

export interface ReconnectOptions extends Omit<NbdConnectOptions, 'signal'> {
  /** Size that the export must have. Default: the first connection's. */
  sizeBytes?: number | undefined;
  /**
   * Distance of the second attempt after a failure, before jitter, in ms; it doubles with each.
   * Default 100.
   */
  backoffMinMs?: number | undefined;
  /** Bound on that distance, in ms. Default 5000. */
  backoffMaxMs?: number | undefined;
  clock?: Clock | undefined;
  /** Returns a number from 0 up to 1, for the jitter. Default `Math.random`. */
  random?: (() => number) | undefined;
}

export class ReconnectingNbdClient implements NbdRemote {
  readonly #target: NbdTarget;
  readonly #options: ReconnectOptions;
  readonly #clock: Clock;
  /** Ends the attempt under way when the client closes. */
  readonly #end = new AbortController();
  #sizeBytes: number | undefined;
  #client: NbdClient | undefined;
  #attempt: Promise<NbdClient> | undefined;
  #failureCount = 0;
  #failedAtMs = 0;

  constructor(target: NbdTarget, options: ReconnectOptions = {}) {
    this.#target = target;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#sizeBytes = options.sizeBytes;
  }

  /**
   * Resolves to the live connection, or a new one. A rejection belongs to one attempt; the next
   * call makes another.
   *
   * @throws as NbdClient.connect; `ERR_NBD_CHANGED`, `ERR_CLOSED`
   */
  async client(options: NbdRequestOptions = {}): Promise<NbdClient> {
    if (this.#end.signal.aborted) throw new ClosedError('NBD client');
    if (this.#client !== undefined && this.#client.failure === undefined) return this.#client;
    this.#client = undefined;
    this.#attempt ??= this.#connect().finally(() => {
      this.#attempt = undefined;
    });
    return waitFor('connection to the NBD server', this.#attempt, { signal: options.signal });
  }

  async read(offset: number, lengthBytes: number, sink: NbdReadSink, options: NbdReadOptions = {}): Promise<void> {
    return (await this.client(options)).read(offset, lengthBytes, sink, options);
  }

  async write(source: Buffer, offset: number, options: NbdWriteOptions = {}): Promise<void> {
    return (await this.client(options)).write(source, offset, options);
  }

  async writeZeroes(offset: number, lengthBytes: number, options: NbdWriteZeroesOptions = {}): Promise<void> {
    return (await this.client(options)).writeZeroes(offset, lengthBytes, options);
  }

  async trim(offset: number, lengthBytes: number, options: NbdWriteOptions = {}): Promise<void> {
    return (await this.client(options)).trim(offset, lengthBytes, options);
  }

  async flush(options: NbdRequestOptions = {}): Promise<void> {
    return (await this.client(options)).flush(options);
  }

  async cache(offset: number, lengthBytes: number, options: NbdRequestOptions = {}): Promise<void> {
    return (await this.client(options)).cache(offset, lengthBytes, options);
  }

  async blockStatus(offset: number, lengthBytes: number, options: NbdBlockStatusOptions = {}): Promise<Map<string, StatusExtent[]>> {
    return (await this.client(options)).blockStatus(offset, lengthBytes, options);
  }

  /** Ends for good; later calls reject with `ERR_CLOSED`. */
  async disconnect(): Promise<void> {
    this.#end.abort();
    const attempted = await this.#attempt?.catch(() => undefined);
    await (attempted ?? this.#client)?.disconnect();
  }

  async #connect(): Promise<NbdClient> {
    try {
      await this.#keepDistance();
      const { sizeBytes: _size, clock: _clock, random: _random, ...options } = this.#options;
      const client = await NbdClient.connect(this.#target, { ...options, signal: this.#end.signal });
      if (this.#sizeBytes !== undefined && client.sizeBytes !== this.#sizeBytes) {
        client.disconnect().catch(() => {});
        throw new NbdChangedError(`export "${client.exportName}" had ${this.#sizeBytes} bytes and has ${client.sizeBytes} now`);
      }
      this.#sizeBytes = client.sizeBytes;
      this.#failureCount = 0;
      this.#client = client;
      return client;
    } catch (error) {
      this.#failureCount += 1;
      this.#failedAtMs = this.#clock.nowMs();
      if (this.#end.signal.aborted) throw new ClosedError('NBD client');
      throw error;
    }
  }

  /** Waits for the distance to the last failure. Half of it is fixed, half is chance. */
  async #keepDistance(): Promise<void> {
    if (this.#failureCount === 0) return;
    const { backoffMinMs = 100, backoffMaxMs = 5000, random = Math.random } = this.#options;
    const distanceMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** (this.#failureCount - 1)) * (0.5 + random() / 2);
    const delayMs = this.#failedAtMs + distanceMs - this.#clock.nowMs();
    if (delayMs <= 0) return;
    let cancel: (() => void) | undefined;
    const passed = new Promise<void>((resolve) => {
      cancel = this.#clock.after(delayMs, resolve);
    });
    try {
      await waitFor('distance between attempts to connect', passed, { signal: this.#end.signal });
    } finally {
      cancel?.();
    }
  }
}
