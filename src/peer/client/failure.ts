/** What goes wrong with a peer's export, as a PeerError. */
import { errorCode, errorMessage } from '../../base/error.js';
import { PeerError } from '../../cluster/peer.js';
import type { PeerExport } from '../wire/export-name.js';

/** Passes PeerError and `ERR_ABORTED` as they are. */
export function requestError(peerId: string, role: PeerExport['kind'], what: string, cause: unknown): unknown {
  if (cause instanceof PeerError || errorCode(cause) === 'ERR_ABORTED') return cause;
  switch (errorCode(cause)) {
    case 'ENOTSUP':
      return role === 'held' ? absentError(peerId, what, cause) : refusedError(peerId, what, cause);
    // A reply that does not fit what was asked for: too short, too long, with gaps, for something else.
    case 'ERR_NBD_PROTOCOL':
      return new PeerError('ERR_PEER_LIED', peerId, `${what}: its answer does not fit the request: ${errorMessage(cause)}`, { cause });
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
 * As `requestError`, of the attempt to connect: a handshake that breaks off or is garbage comes of a peer that is going down, or of another program at its
 * address. It said nothing of a content yet, so it did not lie.
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
  return new PeerError('ERR_PEER_ABSENT', peerId, `${what}: it does not hold that`, { cause });
}
