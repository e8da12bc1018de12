/**
 * Structured logs: one JSON line per event, on standard error (standard output belongs to `copse:
 * ready`).
 *
 * Invariants: URLs in a line hold no secrets. A line that can't be written is lost, and the process
 * goes on.
 */
import { type Logger, pino } from 'pino';
import { redactUrls } from './display-url.js';

export type { Logger };

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Most bytes of lines that wait for room on a full disk; later lines are lost. */
const maxKeptBytes = 64 * 1024;

/** @param level lowest level that is written */
export function createLogger(level: LogLevel): Logger {
  const destination = pino.destination({ fd: 2, sync: true, maxLength: maxKeptBytes });
  // A full disk, or a reader that has gone, must not end the daemon.
  destination.on('error', () => {});
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, hooks: { streamWrite: redactUrls } };
  return pino(options, destination);
}

/** A logger that writes nothing, for tests and for the library's defaults. */
export const silentLogger: Logger = pino({ level: 'silent' });
