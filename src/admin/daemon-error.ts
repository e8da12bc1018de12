/** Errors of a daemon that does not answer, each with a remedy. */
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { formatAddress, type SocketAddress } from '../config/address.js';

/** No daemon answers at the address. Code `ERR_NO_DAEMON`. */
export class NoDaemonError extends CopseError {
  constructor(address: SocketAddress, cause: unknown) {
    super('ERR_NO_DAEMON', `no daemon answers on ${formatAddress(address)}: ${remedy(cause)}`, { cause });
  }
}

/**
 * The daemon went away before it answered, so the caller can't tell whether it did the work. Code
 * `ERR_DAEMON_LOST`.
 */
export class DaemonLostError extends CopseError {
  constructor(address: SocketAddress, cause?: unknown) {
    super('ERR_DAEMON_LOST', `the daemon on ${formatAddress(address)} went away before it had answered: look at its log and ask again`, {
      cause,
    });
  }
}

/** Error that the daemon answered, with the code that it threw. */
export class DaemonAnswerError extends CopseError {}

function remedy(cause: unknown): string {
  switch (errorCode(cause)) {
    case 'EACCES':
    case 'EPERM':
      return 'this user may not use the socket; run the command as the user who runs the daemon, or as root';
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'start one with "copse serve", or choose another by --admin or --state';
    default:
      return errorMessage(cause);
  }
}
