/** Turns a failure of an NBD server into an OriginError. */
import { errorCode, errorMessage } from '../../base/error.js';
import { OriginError } from '../origin.js';

/**
 * Passes OriginError and `ERR_ABORTED` as they are.
 *
 * @param closed true if this side closed; only then `ERR_CLOSED` is passed on, else the server went
 * away
 */
export function nbdError(what: string, cause: unknown, closed: boolean): unknown {
  if (cause instanceof OriginError) return cause;
  const code = errorCode(cause);
  switch (code) {
    case 'ERR_ABORTED':
      return cause;
    case 'ERR_CLOSED':
      return closed ? cause : new OriginError('ERR_ORIGIN_UNAVAILABLE', `${what}: the server is going away`, { cause });
    case 'ERR_URL':
      return new OriginError('ERR_ORIGIN_REFUSED', errorMessage(cause), { cause });
    case 'ERR_NBD_UNKNOWN_EXPORT':
      return new OriginError('ERR_ORIGIN_REFUSED', `${what}: the server has no such export; "nbdinfo --list" shows what it has`, { cause });
    case 'ERR_NBD_TLS_REQUIRED':
      return new OriginError('ERR_ORIGIN_REFUSED', `${what}: the server wants TLS, which is not supported yet`, { cause });
    case 'ERR_NBD_REFUSED':
    case 'EPERM':
    case 'EINVAL':
    case 'EOVERFLOW':
    case 'ENOTSUP':
      return new OriginError('ERR_ORIGIN_REFUSED', `${what}: the server refuses (${code})`, { cause });
    case 'ERR_NBD_PROTOCOL':
      return new OriginError('ERR_ORIGIN_PROTOCOL', `${what}: the server does not keep to the protocol`, { cause });
    case 'ERR_DEADLINE':
      return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${what}: no connection in time`, { cause });
    default:
      return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${what}: reading failed`, { cause });
  }
}
