/**
 * Logs the requests that failed at a device: one line per export and interval, with a count of
 * those that were left out. So a guest that retries can't fill the log.
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
    // Without a connection no client gets the error. An operation that the device does not offer is
    // no failure.
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
