/**
 * Everything that can go wrong on the wire, as either end of a connection sees it.
 */
import { CopseError } from '../../base/error.js';

/** The peer does not keep to the protocol; nothing more can be said to it. Code `ERR_NBD_PROTOCOL`. */
export class NbdProtocolError extends CopseError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_NBD_PROTOCOL', message, options);
  }
}

/** The socket could not be opened or went away with requests in flight. Code `ERR_NBD_DISCONNECTED`. */
export class NbdDisconnectedError extends CopseError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('ERR_NBD_DISCONNECTED', message, options);
  }
}

/**
 * No byte came for a time, nor an answer to the request for a sign of life. Code `ERR_NBD_SILENT`. All requests that
 * were in flight on the connection fail with the same object.
 */
export class NbdSilentError extends CopseError {
  constructor(message: string) {
    super('ERR_NBD_SILENT', message);
  }
}

/** The server gave signs of life, and no answer to a read in all the time that it was given. Code `ERR_NBD_UNANSWERED`. */
export class NbdUnansweredError extends CopseError {
  constructor(message: string) {
    super('ERR_NBD_UNANSWERED', message);
  }
}

/** The server answered a request with an error. The code is its name: `EIO`, `ENOSPC`, …; the message is the server's. */
export class NbdRequestError extends CopseError {
  /** Where in the export it failed, when the server said so. */
  readonly offset: number | undefined;

  constructor(code: string, message: string, options?: { cause?: unknown; offset?: number | undefined }) {
    super(code, message, options);
    this.offset = options?.offset;
  }
}

/**
 * The server refused during the handshake: `ERR_NBD_UNKNOWN_EXPORT`, `ERR_NBD_TLS_REQUIRED`, or `ERR_NBD_REFUSED` for all else.
 */
export class NbdRefusedError extends CopseError {
  constructor(code: 'ERR_NBD_UNKNOWN_EXPORT' | 'ERR_NBD_TLS_REQUIRED' | 'ERR_NBD_REFUSED', message: string, options?: { cause?: unknown }) {
    super(code, message, options);
  }
}

/** After a reconnect the export was not what it had been. Code `ERR_NBD_CHANGED`. */
export class NbdChangedError extends CopseError {
  constructor(message: string) {
    super('ERR_NBD_CHANGED', message);
  }
}
