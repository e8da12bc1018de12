/**
 * Says in the log which requests failed at a device, without letting a guest that retries fill it: one line an export and interval, with a count of those
 * that were not written.
 */
import type { Clock } from '../base/clock.js';
import { errorCode, errorMessage } from '../base/error.js';
import type { Logger } from '../base/log.js';

const intervalMs = 10_000;

export class FailureLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #exports = new Map<string, { writtenAtMs: number; suppressedCount: number }>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  add(exportName: string, request: { type: number; offset: number; lengthBytes: number }, error: unknown): void {
    // Whoever asked is gone: nobody got an error. Nor is it one when a device says that it does not do, or have, that.
    if (['ERR_ABORTED', 'ENOTSUP'].includes(errorCode(error))) return;
    const nowMs = this.#clock.nowMs();
    const last = this.#exports.get(exportName);
    if (last !== undefined && nowMs - last.writtenAtMs < intervalMs) {
      last.suppressedCount += 1;
      return;
    }
    this.#exports.set(exportName, { writtenAtMs: nowMs, suppressedCount: 0 });
    const { type: command, offset, lengthBytes } = request;
    this.#log.warn(
      {
        export: exportName,
        command,
        offset,
        lengthBytes,
        code: errorCode(error),
        reason: errorMessage(error),
        unlogged: last?.suppressedCount ?? 0,
      },
      'a client was answered with an error',
    );
  }
}
