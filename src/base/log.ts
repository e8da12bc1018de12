/** Structured logs: one JSON line an event, on standard error (standard output belongs to `copse: ready`). */
import { type Logger, pino } from 'pino';

export type { Logger };

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** @param level the least level that is written */
export function createLogger(level: LogLevel): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }));
}

/** A logger that writes nothing, for tests and for the library's defaults. */
export const silentLogger: Logger = pino({ level: 'silent' });
