import { redactUrls } from './display-url.js';
import type { ErrorCode, ForeignErrorCode, SystemErrorCode } from './error-code.js';

/**
 * Base class of every error that Copse throws on purpose.
 *
 * Invariant: programs and tests look at `code`, which is stable. The message is for people: what
 * failed, on what, and what to do about it.
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

/** A wait was given up because its caller is gone. Code `ERR_ABORTED`. */
export class AbortedError extends CopseError {
  constructor(what: string, options?: { cause?: unknown }) {
    super('ERR_ABORTED', `${what}: given up, nobody waits for it any more`, options);
  }
}

/** A closed object was used. Code `ERR_CLOSED`. */
export class ClosedError extends CopseError {
  constructor(what: string) {
    super('ERR_CLOSED', `${what} is closed`);
  }
}

/**
 * @returns the stable code of any thrown value: its own `code` (Copse's or Node's), else
 * `ERR_UNKNOWN`
 */
export function errorCode(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'ERR_UNKNOWN';
}

/**
 * @returns the message of any thrown value, followed by those of its causes, each once. URLs in it
 * hold no secrets
 */
export function errorMessage(error: unknown): string {
  const messages: string[] = [];
  for (let at: unknown = error; at !== undefined && at !== null && messages.length < 8; ) {
    const message = at instanceof Error ? at.message : String(at);
    if (message !== '' && !messages.some((seen) => seen.includes(message))) messages.push(message);
    at = at instanceof Error ? at.cause : undefined;
  }
  return redactUrls(messages.join(': '));
}
