/**
 * Keeps one qemu-nbd for an image. It starts the process on first need and again after its end,
 * with a growing pause if it keeps ending.
 *
 * Invariants: at most one process at a time; each start is guarded anew; private exports and the
 * directory of the socket go with the process.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { type Clock, systemClock } from '../../base/clock.js';
import { ClosedError } from '../../base/error.js';
import { Lifecycle } from '../../base/lifecycle.js';
import type { Logger } from '../../base/log.js';
import { OriginError } from '../origin.js';
import type { OpenLayer } from './block-node.js';
import { guardLayers } from './guard/guard.js';
import type { FormatLayer } from './layer.js';
import { startQemuNbd } from './qemu-nbd.js';

const firstPauseMs = 100;
const maxPauseMs = 5000;
/** A process that lived this long is restarted at once. */
const steadyAfterMs = 10_000;

export interface DecoderOptions {
  /** Directory for sockets, existing, of this user; its path is best under 80 bytes. */
  runDir: string;
  log: Logger;
  clock?: Clock | undefined;
  /** Deadline of a start, reads of the image's headers included, in ms. Default 20 000. */
  startTimeoutMs?: number | undefined;
  /** Directories in which programs are searched. Default: this process's `PATH`. */
  searchPath?: string | undefined;
}

/** A running qemu-nbd. */
export interface Decoding {
  readonly pid: number;
  readonly socketPath: string;
  readonly hasEnded: boolean;
  readonly ended: Promise<string>;
  /**
   * Errors of the private exports: their count, and the last one. `undefined` if an export does not
   * report them.
   */
  failure(): { count: number; error: unknown } | undefined;
}

export class Decoder {
  readonly #layer: FormatLayer;
  readonly #options: DecoderOptions;
  readonly #clock: Clock;
  #current: Promise<Decoding & { close(): Promise<void> }> | undefined;
  #closing: Promise<void> | undefined;
  readonly #abort = new AbortController();
  #failedCount = 0;
  #notBeforeMs = 0;
  #lastError: unknown;

  constructor(layer: FormatLayer, options: DecoderOptions) {
    this.#layer = layer;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * @returns the process, which is started if there is none
   * @throws OriginError as `guardLayers` and `startQemuNbd` do; during the pause after a failure,
   * that failure again; `ERR_CLOSED` after `close`
   */
  running(): Promise<Decoding> {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError('the decoder'));
    if (this.#current !== undefined) return this.#current;
    if (this.#clock.nowMs() < this.#notBeforeMs) return Promise.reject(this.#lastError);
    const starting = this.#start();
    this.#current = starting;
    starting.catch((error: unknown) => this.#ended(starting, error, 0));
    return starting;
  }

  /** Ends the process. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#abort.abort(new ClosedError('the decoder'));
    const decoding = await this.#current?.catch(() => undefined);
    await decoding?.close();
  }

  async #start(): Promise<Decoding & { close(): Promise<void> }> {
    const { startTimeoutMs = 20_000 } = this.#options;
    const { url } = this.#layer.container.origin;
    const start = new AbortController();
    const cancelTimer = this.#clock.after(startTimeoutMs, () =>
      start.abort(new OriginError('ERR_ORIGIN_UNAVAILABLE', `${url}: qemu-nbd was not ready within ${startTimeoutMs} ms`)),
    );
    const onClose = (): void => start.abort(this.#abort.signal.reason);
    watchAbort(this.#abort.signal, onClose);
    try {
      return await this.#launch(start.signal);
    } catch (error) {
      throw start.signal.aborted ? start.signal.reason : error;
    } finally {
      cancelTimer();
      unwatchAbort(this.#abort.signal, onClose);
    }
  }

  async #launch(signal: AbortSignal): Promise<Decoding & { close(): Promise<void> }> {
    const { runDir, log, searchPath = process.env['PATH'] ?? '' } = this.#options;
    const { url } = this.#layer.container.origin;
    const layers = await guardLayers(this.#layer, signal);
    const parts = new Lifecycle();
    const open: OpenLayer[] = [];
    let failedBefore: number | undefined;
    try {
      const directory = await mkdtemp(join(runDir, 'q-'));
      parts.own({ close: () => rm(directory, { recursive: true, force: true }) });
      for (const { layer, patches } of layers) {
        const { privateExport } = layer.container;
        const handle = await (patches.length === 0 ? privateExport.open() : privateExport.open(patches));
        open.push({ format: layer.format, handle: parts.own(handle) });
      }
      failedBefore = totalFailure(open)?.count;
      const startedMs = this.#clock.nowMs();
      const qemuNbd = parts.own(await startQemuNbd({ url, layers: open, socketPath: join(directory, 's'), searchPath, log, signal }));
      const decoding = new RunningDecoding(qemuNbd.pid, qemuNbd.socketPath, qemuNbd.ended, open, parts);
      const current = this.#current;
      void qemuNbd.ended.then(async (reason) => {
        decoding.hasEnded = true;
        const error = new OriginError('ERR_ORIGIN_UNAVAILABLE', `${url}: qemu-nbd ended: ${reason}`);
        if (this.#closing === undefined) log.warn({ pid: qemuNbd.pid, reason }, 'qemu-nbd ended; the next read starts it again');
        if (current !== undefined) this.#ended(current, error, this.#clock.nowMs() - startedMs);
        await decoding.close().catch((cause: unknown) => log.warn({ err: cause }, 'what qemu-nbd left behind could not be removed'));
      });
      return decoding;
    } catch (error) {
      const failure = totalFailure(open);
      await parts.close().catch(() => undefined);
      const isCause = failure !== undefined && failedBefore !== undefined && failure.count > failedBefore;
      throw isCause && failure.error instanceof OriginError ? failure.error : error;
    }
  }

  #ended(which: Promise<unknown>, error: unknown, livedMs: number): void {
    if (this.#current !== which) return;
    this.#current = undefined;
    this.#failedCount = livedMs >= steadyAfterMs ? 0 : this.#failedCount + 1;
    this.#lastError = error;
    // The first end of a process that served costs no pause.
    const pauses = this.#failedCount - (livedMs > 0 ? 2 : 1);
    if (pauses >= 0) this.#notBeforeMs = this.#clock.nowMs() + Math.min(firstPauseMs * 2 ** pauses, maxPauseMs);
  }
}

class RunningDecoding implements Decoding {
  hasEnded = false;
  readonly #layers: readonly OpenLayer[];
  readonly #parts: Lifecycle;
  #closing: Promise<void> | undefined;

  constructor(
    readonly pid: number,
    readonly socketPath: string,
    readonly ended: Promise<string>,
    layers: readonly OpenLayer[],
    parts: Lifecycle,
  ) {
    this.#layers = layers;
    this.#parts = parts;
  }

  failure(): { count: number; error: unknown } | undefined {
    return totalFailure(this.#layers);
  }

  close(): Promise<void> {
    this.#closing ??= this.#parts.close();
    return this.#closing;
  }
}

function totalFailure(layers: readonly OpenLayer[]): { count: number; error: unknown } | undefined {
  let count = 0;
  let error: unknown;
  for (const { handle } of layers) {
    const failure = handle.failure?.();
    if (failure === undefined) return undefined;
    count += failure.count;
    error = failure.error ?? error;
  }
  return { count, error };
}
