/** Opens the socket to an NBD server. */

import { connect, type Socket } from 'node:net';
import { unwatchAbort, watchAbort } from '../../base/abort.js';
import { AbortedError } from '../../base/error.js';
import { setUserTimeout } from '../../base/user-timeout.js';
import { NbdDisconnectedError } from '../codec/error.js';
import { formatNbdUri, type NbdAddress, type NbdUri, parseNbdUri } from '../codec/uri.js';

/** Address of an export: a URI, or its parts. */
export type NbdTarget = string | NbdAddress | NbdUri;

/** @throws CopseError `ERR_URL` */
export function resolveTarget(target: NbdTarget, exportName: string | undefined): NbdUri {
  const uri = typeof target === 'string' ? parseNbdUri(target) : 'address' in target ? target : { address: target, exportName: '' };
  return exportName === undefined ? uri : { address: uri.address, exportName };
}

/**
 * Connects. The caller owns the socket, which is paused and without Nagle's delay ("Protocol
 * phases"). It must add its own `error` listener in the same turn.
 *
 * @param userTimeoutMs see `NbdConnectOptions`
 * @throws NbdDisconnectedError if no server answers; `ERR_ABORTED` if `signal` ends the attempt
 */
export function dial(uri: NbdUri, signal: AbortSignal | undefined, userTimeoutMs?: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const what = `connection to ${formatNbdUri(uri)}`;
    const fail = (error: Error): void => {
      end();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onError = (cause: Error): void => fail(new NbdDisconnectedError(`${what} failed`, { cause }));
    const onAbort = (): void => fail(new AbortedError(what, { cause: signal?.reason }));
    const onConnect = (): void => {
      end();
      // A socket error without a listener would throw: before the handshake listens, and after it.
      socket.on('error', () => {});
      socket.setNoDelay(true);
      if ('host' in uri.address) socket.setKeepAlive(true, 15_000);
      if (userTimeoutMs !== undefined) setUserTimeout(socket, userTimeoutMs);
      resolve(socket);
    };
    const end = (): void => {
      socket.off('error', onError);
      socket.off('connect', onConnect);
      unwatchAbort(signal, onAbort);
    };
    const socket =
      'path' in uri.address ? connect({ path: uri.address.path }) : connect({ host: uri.address.host, port: uri.address.port });
    socket.on('error', onError);
    socket.on('connect', onConnect);
    if (signal?.aborted) onAbort();
    else watchAbort(signal, onAbort);
  });
}
