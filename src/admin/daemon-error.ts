/** Why a daemon did not answer, told so that an operator knows what to do. */
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { formatAddress, type SocketAddress } from '../config/address.js';

/** No daemon can be reached. Code `ERR_NO_DAEMON`. */
export class NoDaemonError extends CopseError {
  constructor(address: SocketAddress, cause: unknown) {
    super('ERR_NO_DAEMON', `no daemon answers on ${formatAddress(address)}: ${remedy(cause)}`, { cause });
  }
}

/** The daemon went away before it had answered. Code `ERR_DAEMON_LOST`: whether it did what was asked is not known. */
export class DaemonLostError extends CopseError {
  constructor(address: SocketAddress, cause?: unknown) {
    super('ERR_DAEMON_LOST', `the daemon on ${formatAddress(address)} went away before it had answered: look at its log and ask again`, {
      cause,
    });
  }
}

/** An error that the daemon answered with; its code is the one that was thrown there. */
export class DaemonAnswerError extends CopseError {}

function remedy(cause: unknown): string {
  switch (errorCode(cause)) {
    case 'EACCES':
    case 'EPERM':
      return 'this user may not use it; ask as the user who runs the daemon (or root)';
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'start one with "copse serve", or name the one you mean by --admin or --state';
    default:
      return errorMessage(cause);
  }
}
