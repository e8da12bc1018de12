/**
 * Binds one address of the admin API.
 *
 * Invariants:
 * - A unix socket is open to no other user, at no moment.
 * - A socket file is replaced only if no process answers on it.
 * - Without `allowRemote`, no address is bound that another host can reach.
 */
import type { Server } from 'node:net';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { listenOnUnixSocket } from '../base/unix-socket.js';
import { absoluteAddress, formatAddress, isLocalAddress, type SocketAddress } from '../config/address.js';

export interface BindOptions {
  /** True if TCP addresses other than loopback are permitted. */
  allowRemote: boolean;
}

export interface Bound {
  /** The address with the port that the kernel chose. */
  address: SocketAddress;
  /** Removes the socket's file if it still belongs to this server. */
  removeFile(): void;
}

/** @throws CopseError `ERR_ADDRESS`, `ERR_ADDRESS_REMOTE`, `ERR_ADDRESS_IN_USE`, `ERR_LISTEN` */
export async function bind(server: Server, wanted: SocketAddress, { allowRemote }: BindOptions): Promise<Bound> {
  const address = absoluteAddress(wanted, process.cwd());
  const name = formatAddress(address);
  if (!allowRemote && !isLocalAddress(address)) {
    throw new CopseError(
      'ERR_ADDRESS_REMOTE',
      `admin API: other hosts can reach ${name}: use a unix socket, or set admin_allow_remote = true`,
    );
  }
  try {
    if (address.kind === 'unix') return { address, removeFile: await listenOnUnixSocket(server, { path: address.path, mode: 0o600 }) };
    await listenOnTcp(server, address);
  } catch (error) {
    const code = ['EADDRINUSE', 'ERR_SOCKET_TAKEN'].includes(errorCode(error)) ? 'ERR_ADDRESS_IN_USE' : 'ERR_LISTEN';
    throw new CopseError(code, `admin API: can't listen on ${name}: ${errorMessage(error)}; choose another by --admin`, { cause: error });
  }
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  return { address: { ...address, port }, removeFile: () => {} };
}

function listenOnTcp(server: Server, { host, port }: Extract<SocketAddress, { kind: 'tcp' }>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
