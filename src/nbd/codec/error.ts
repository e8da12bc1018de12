/** The errors of a connection, as either end sees them. */
import { CopseError } from '../../base/error.js';
import { foreignErrorCode } from '../../base/error-code.js';

/**
 * The peer breaks the protocol, so the connection is of no use any more. Code `ERR_NBD_PROTOCOL`.
 */
export class NbdProtocolError extends CopseError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_NBD_PROTOCOL', message, options);
  }
}

/**
 * The socket could not be opened, or closed with requests in flight. Code `ERR_NBD_DISCONNECTED`.
 */
export class NbdDisconnectedError extends CopseError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_NBD_DISCONNECTED', message, options);
  }
}

/**
 * No byte arrived for a time, and no answer to the request for a sign of life. Code
 * `ERR_NBD_SILENT`. All requests in flight on the connection fail with the same object.
 */
export class NbdSilentError extends CopseError {
  constructor(message: string) {
    super('ERR_NBD_SILENT', message);
  }
}

/**
 * The server gave signs of life, but did not answer a read in its time. Code `ERR_NBD_UNANSWERED`.
 */
export class NbdUnansweredError extends CopseError {
  constructor(message: string) {
    super('ERR_NBD_UNANSWERED', message);
  }
}

/**
 * The server answered a request with an error. The code is its name (`EIO`, `ENOSPC`, …); the
 * message is the server's.
 */
export class NbdRequestError extends CopseError {
  /** Offset of the failure in the export, if the server named it. */
  readonly offset: number | undefined;

  constructor(code: string, message: string, options?: { cause?: unknown; offset?: number | undefined }) {
    super(foreignErrorCode(code), message, options);
    this.offset = options?.offset;
  }
}

/**
 * The server refused during the handshake: `ERR_NBD_UNKNOWN_EXPORT`, `ERR_NBD_TLS_REQUIRED`, or
 * `ERR_NBD_REFUSED` for every other refusal.
 */
export class NbdRefusedError extends CopseError {
  constructor(code: 'ERR_NBD_UNKNOWN_EXPORT' | 'ERR_NBD_TLS_REQUIRED' | 'ERR_NBD_REFUSED', message: string, options?: { cause?: unknown }) {
    super(code, message, options);
  }
}
