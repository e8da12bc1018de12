/** Turns the errors that undici and Node report of a connection into OriginErrors. */
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import { OriginError } from '../origin.js';

/** Certificates that are not trusted: another try does not help. */
const trustCodes = /^(?:CERT_|ERR_TLS_CERT|UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|HOSTNAME_MISMATCH|INVALID_CA)/;

/** Requests that can't be sent at all: a line break in a credential, for example. */
const unsendableCodes = /^(?:UND_ERR_INVALID_ARG|ERR_INVALID_ARG_VALUE|ERR_INVALID_CHAR|ERR_HTTP_INVALID)/;

/** @param what range and URL, for the text */
export function connectionError(what: string, cause: unknown): CopseError {
  if (cause instanceof CopseError) return cause;
  const code = errorCode(cause);
  if (trustCodes.test(code)) {
    const text = `${what}: the server's certificate is not trusted (${code}): name its authority as ca_file of a credential for this URL, in the configuration`;
    return new OriginError('ERR_ORIGIN_REFUSED', text, { cause });
  }
  if (isGarbage(cause)) return new OriginError('ERR_ORIGIN_PROTOCOL', `${what}: the answer is not HTTP`, { cause });
  if (unsendableCodes.test(code)) return new OriginError('ERR_ORIGIN_REFUSED', `${what}: the request can't be sent`, { cause });
  return new OriginError('ERR_ORIGIN_UNAVAILABLE', `${what}: ${reason(code, cause)}`, { cause });
}

/**
 * True for an answer that is no HTTP. For an answer that merely stops, undici's parser has no data
 * to complain about.
 */
function isGarbage(cause: unknown): boolean {
  if (errorCode(cause) === 'UND_ERR_HEADERS_OVERFLOW') return true;
  return cause instanceof Error && cause.name === 'HTTPParserError' && 'data' in cause && cause.data !== '' && cause.data !== undefined;
}

function reason(code: string, cause: unknown): string {
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'no connection in time';
    case 'UND_ERR_HEADERS_TIMEOUT':
      return 'no answer in time';
    case 'UND_ERR_BODY_TIMEOUT':
      return 'the answer stalled';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host's name can't be resolved (${code})`;
    default:
      return `the connection failed (${code === 'ERR_UNKNOWN' ? errorMessage(cause) : code})`;
  }
}
