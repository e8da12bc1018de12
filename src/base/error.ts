import { redactUrls } from './display-url.js';
import type { ErrorCode, ForeignErrorCode, SystemErrorCode } from './error-code.js';

/**
 * The root of every error that Copse throws on purpose.
 *
 * Invariant: `code` is stable and is what programs and tests look at; the message is for people and
 * names what failed, on what, and what to do about it.
 */
export class CopseError extends Error {
  readonly code: string;

  constructor(code: ErrorCode | SystemErrorCode | ForeignErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A wait was given up because its deadline passed. Code `ERR_DEADLINE`. */
export class DeadlineError extends CopseError {
  constructor(what: string, timeoutMs: number, options?: { cause?: unknown }) {
    super('ERR_DEADLINE', `${what}: no answer within ${timeoutMs} ms`, options);
  }
}

/** A wait was given up because whoever asked is gone. Code `ERR_ABORTED`. */
export class AbortedError extends CopseError {
  constructor(what: string, options?: { cause?: unknown }) {
    super('ERR_ABORTED', `${what}: given up, nobody waits for it any more`, options);
  }
}

/** Something was used after it was closed. Code `ERR_CLOSED`. */
export class ClosedError extends CopseError {
  constructor(what: string) {
    super('ERR_CLOSED', `${what} is closed`);
  }
}

/** The stable code of any thrown value: `code` of an error that has one (Copse's or Node's), else `ERR_UNKNOWN`. */
export function errorCode(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'ERR_UNKNOWN';
}

/** The message of any thrown value, followed by those of its causes, each once. URLs in it hold no secrets. */
export function errorMessage(error: unknown): string {
  const messages: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null && messages.length < 8; ) {
    const message = at instanceof Error ? at.message : String(at);
    if (message !== '' && !messages.some((seen) => seen.includes(message))) messages.push(message);
    at = at instanceof Error ? at.cause : undefined;
  }
  return redactUrls(messages.join(': '));
}
