/** Listening sockets: unix, TCP, and sockets that systemd passes (sd_listen_fds(3)). */
import { fstatSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { isLoopbackHost } from '../base/loopback.js';
import { maxUnixPathBytes } from '../base/unix-path.js';
import { listenOnUnixSocket } from '../base/unix-socket.js';
import { formatNbdUri } from '../nbd/codec/uri.js';

export type ListenAddress =
  | {
      kind: 'unix';
      path: string;
      /** Permission bits of the socket file; default 0600. */
      mode?: number | undefined;
      /** Numeric group of the socket file; default the process's own. */
      groupId?: number | undefined;
    }
  | { kind: 'tcp'; host: string; port: number }
  | {
      kind: 'descriptor';
      descriptor: number;
      /** False refuses a TCP socket that other hosts can reach. */
      allowRemote: boolean;
    };

const defaultMode = 0o600;

export interface Listener {
  /** NBD URI without an export name. For TCP it has the port that the kernel chose. */
  readonly uri: string;
  /** Stops accepting and removes a unix socket's file. Connections go on. */
  close(): Promise<void>;
}

/**
 * Idle time after which the kernel probes a TCP client, in ms (tcp(7)). The probes find a client
 * that is gone.
 */
const keepAliveMs = 60_000;

/**
 * Listens on an address.
 *
 * @param onConnection called with each connection; Nagle's algorithm is off
 * @throws CopseError `ERR_LISTEN` with the obstacle and the remedy, `ERR_ADDRESS_REMOTE`
 */
export async function listen(address: ListenAddress, onConnection: (socket: Socket) => void): Promise<Listener> {
  const server = createServer({ noDelay: true, allowHalfOpen: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, onConnection);
  // Errors of the accept queue (EMFILE and the like) must not end the daemon; the client sees a
  // closed connection.
  let removeFile = (): void => {};
  try {
    if (address.kind === 'unix') removeFile = await listenOnUnixSocket(server, { ...address, mode: address.mode ?? defaultMode });
    else if (address.kind === 'tcp') await listenOn(server, { host: address.host, port: address.port });
    else await listenOnDescriptor(server, address);
  } catch (error) {
    server.close();
    if (errorCode(error) === 'ERR_ADDRESS_REMOTE') throw error;
    throw new CopseError('ERR_LISTEN', `can't listen on ${describe(address)}: ${remedy(error)}`, { cause: error });
  }
  server.on('error', () => {});
  const uri = uriOf(address, server);
  return {
    uri,
    close: () => {
      removeFile();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function listenOn(server: Server, options: ListenOptions | { fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function listenOnDescriptor(server: Server, address: Extract<ListenAddress, { kind: 'descriptor' }>): Promise<void> {
  await listenOn(server, { fd: address.descriptor });
  const bound = server.address();
  if (address.allowRemote || bound === null || typeof bound === 'string' || isLoopbackHost(bound.address)) return;
  throw new CopseError(
    'ERR_ADDRESS_REMOTE',
    `the TCP socket that systemd passes (${bound.address}, port ${bound.port}) can be reached by other hosts, and each of them may write disks: bind it to 127.0.0.1, or give --allow-remote`,
  );
}

function describe(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.kind === 'tcp' ? `tcp:${address.host}:${address.port}` : `descriptor ${address.descriptor}`;
}

function remedy(error: unknown): string {
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return 'another process uses it; stop it or choose another port or path';
    case 'EACCES':
      return 'permission denied; choose another port or path, or run as a user who may';
    case 'EADDRNOTAVAIL':
      return 'this host has no such address';
    case 'ENAMETOOLONG':
      return `the path of a unix socket may have at most ${maxUnixPathBytes} bytes`;
    default:
      return errorMessage(error);
  }
}

function uriOf(address: ListenAddress, server: Server): string {
  if (address.kind === 'unix') return formatNbdUri({ address: { path: address.path }, exportName: '' });
  const bound = server.address();
  if (typeof bound === 'string') return formatNbdUri({ address: { path: bound }, exportName: '' });
  if (bound !== null) return formatNbdUri({ address: { host: hostOf(bound, address), port: bound.port }, exportName: '' });
  const path = address.kind === 'descriptor' ? pathOfDescriptor(address.descriptor) : undefined;
  return path === undefined ? describe(address) : formatNbdUri({ address: { path }, exportName: '' });
}

/**
 * Path of a unix socket that was passed, which Node.js does not know. Source: proc(5),
 * /proc/net/unix.
 */
function pathOfDescriptor(descriptor: number): string | undefined {
  try {
    const inode = String(fstatSync(descriptor).ino);
    const line = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .find((entry) => entry.trim().split(/\s+/)[6] === inode);
    return /(\/.*)$/.exec(line ?? '')?.[1];
  } catch {
    return undefined;
  }
}

function hostOf(bound: AddressInfo, address: ListenAddress): string {
  return address.kind === 'tcp' ? address.host : bound.address;
}
