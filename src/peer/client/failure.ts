/**
 * Translates errors of the NBD client into PeerErrors, so that the cluster can decide: a peer that
 * lied is set aside, one that is gone is passed over, one that refused gave its answer.
 */
import { errorCode, errorMessage } from '../../base/error.js';
import { PeerError } from '../../cluster/peer.js';
import type { PeerExport } from '../wire/export-name.js';

/**
 * Translates an error of a request. PeerError and `ERR_ABORTED` stay as they are.
 *
 * @param role kind of the export that was asked
 * @param what name of the request in the message
 */
export function requestError(peerId: string, role: PeerExport['kind'], what: string, cause: unknown): unknown {
  if (cause instanceof PeerError || errorCode(cause) === 'ERR_ABORTED') return cause;
  switch (errorCode(cause)) {
    case 'ENOTSUP':
      return role === 'held' ? absentError(peerId, what, cause) : refusedError(peerId, what, cause);
    // The reply does not fit the request: too short, too long, with gaps, or of another request.
    case 'ERR_NBD_PROTOCOL':
      return new PeerError('ERR_PEER_LIED', peerId, `${what}: the answer does not fit the request: ${errorMessage(cause)}`, { cause });
    case 'ERR_NBD_DISCONNECTED':
    case 'ERR_NBD_SILENT':
    case 'ERR_NBD_UNANSWERED':
    case 'ERR_CLOSED':
    case 'ESHUTDOWN':
      return new PeerError('ERR_PEER_GONE', peerId, `${what}: ${errorMessage(cause)}`, { cause });
    default:
      return refusedError(peerId, what, cause);
  }
}

/**
 * Translates an error of an attempt to connect. A handshake that breaks off or is garbage comes
 * from a peer that is going down, or from another program at its address. It has said nothing about
 * a content yet, so it counts as gone and not as a liar.
 */
export function connectError(peerId: string, what: string, cause: unknown): unknown {
  if (cause instanceof PeerError) return cause;
  switch (errorCode(cause)) {
    case 'ERR_NBD_UNKNOWN_EXPORT':
    case 'ERR_NBD_REFUSED':
    case 'ERR_NBD_TLS_REQUIRED':
      return refusedError(peerId, what, cause);
    default:
      return new PeerError('ERR_PEER_GONE', peerId, `${what}: ${errorMessage(cause)}`, { cause });
  }
}

function refusedError(peerId: string, what: string, cause: unknown): PeerError {
  return new PeerError('ERR_PEER_REFUSED', peerId, `${what}: ${errorMessage(cause)}`, { cause });
}

function absentError(peerId: string, what: string, cause: unknown): PeerError {
  return new PeerError('ERR_PEER_ABSENT', peerId, `${what}: the peer does not hold the range`, { cause });
}
