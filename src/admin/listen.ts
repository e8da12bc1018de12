/**
 * Binds the admin API's socket.
 *
 * Invariants: a unix socket is never, not even for a moment, open to other users; a socket file is replaced only when
 * nobody answers on it; without `allowRemote` no address that another host can reach is bound.
 */
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { absoluteAddress, formatAddress, isLocalAddress, type SocketAddress } from '../config/address.js';

export interface BindOptions {
  /** Permits TCP addresses other than loopback. */
  allowRemote: boolean;
}

/**
 * @returns the address with the port that the kernel chose
 * @throws CopseError `ERR_ADDRESS`, `ERR_ADDRESS_REMOTE`, `ERR_ADDRESS_IN_USE`, `ERR_LISTEN`
 */
export async function bind(server: Server, wanted: SocketAddress, { allowRemote }: BindOptions): Promise<SocketAddress> {
  const address = absoluteAddress(wanted, process.cwd());
  const name = formatAddress(address);
  if (!allowRemote && !isLocalAddress(address)) {
    throw new CopseError(
      'ERR_ADDRESS_REMOTE',
      `admin API: ${name} can be reached by other hosts and the API has no authentication: use a unix socket or set admin_allow_remote = true`,
    );
  }
  try {
    if (address.kind === 'unix') await makeRoom(address.path);
    await listen(server, address);
  } catch (error) {
    if (error instanceof CopseError) throw error;
    const code = errorCode(error) === 'EADDRINUSE' ? 'ERR_ADDRESS_IN_USE' : 'ERR_LISTEN';
    throw new CopseError(code, `admin API: can't listen on ${name}: ${errorMessage(error)}; choose another by --admin`, { cause: error });
  }
  const bound = server.address();
  return address.kind === 'tcp' && typeof bound === 'object' && bound !== null ? { ...address, port: bound.port } : address;
}

function listen(server: Server, address: SocketAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    if (address.kind === 'tcp') {
      server.listen({ host: address.host, port: address.port });
      return;
    }
    // Node binds a path within this call, so the mask holds for the socket file and for nothing else.
    const mask = process.umask(0o177);
    try {
      server.listen({ path: address.path });
    } finally {
      process.umask(mask);
    }
  });
}

/** Makes the directory, and takes away the socket file that a dead daemon left. */
async function makeRoom(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new CopseError('ERR_LISTEN', `admin API: ${path} exists and is not a socket: remove it or choose another path by --admin`);
  if (await answers(path))
    throw new CopseError('ERR_ADDRESS_IN_USE', `admin API: another daemon answers on ${path}: stop it or choose another path by --admin`);
  await unlink(path);
}

/** Whether somebody accepts connections on the socket. Anything but a clear refusal counts as somebody. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(errorCode(error))));
  });
}
