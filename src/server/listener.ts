/** Listening sockets: unix, TCP, and those that systemd passes (sd_listen_fds(3)). */
import { fstatSync, readFileSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { CopseError, errorCode, errorMessage } from '../base/error.js';
import { formatNbdUri } from '../nbd/uri.js';

export type ListenAddress =
  | { kind: 'unix'; path: string /** Permission bits. */; mode?: number | undefined /** Numeric group. */; groupId?: number | undefined }
  | { kind: 'tcp'; host: string; port: number }
  | { kind: 'descriptor'; descriptor: number };

export interface Listener {
  /** As an NBD URI without an export name; for TCP with the port that the kernel chose. */
  readonly uri: string;
  /** Stops accepting. Connections go on. A unix socket's file goes. */
  close(): Promise<void>;
}

/** The longest path in `sockaddr_un` without its closing zero (unix(7)). */
const maxUnixPathBytes = 107;

/** A TCP peer that went without a word is noticed after this and the kernel's probes (tcp(7)). */
const keepAliveMs = 60_000;

/**
 * @param onConnection is given each connection, with Nagle's algorithm off
 * @throws CopseError `ERR_LISTEN` that says what is in the way and what to do
 */
export async function listen(address: ListenAddress, onConnection: (socket: Socket) => void): Promise<Listener> {
  const server = createServer({ noDelay: true, allowHalfOpen: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, onConnection);
  // Of the accept queue's errors (EMFILE and the like) none may end the daemon; the client sees a connection that closes.
  try {
    if (address.kind === 'unix') await listenUnix(server, address);
    else if (address.kind === 'tcp') await listenOn(server, { host: address.host, port: address.port });
    else await listenOn(server, { fd: address.descriptor });
  } catch (error) {
    server.close();
    throw new CopseError('ERR_LISTEN', `can't listen on ${describe(address)}: ${remedy(error)}`, { cause: error });
  }
  server.on('error', () => {});
  const uri = uriOf(address, server);
  return {
    uri,
    close: () => new Promise((resolve) => server.close(() => resolve())),
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

async function listenUnix(server: Server, address: Extract<ListenAddress, { kind: 'unix' }>): Promise<void> {
  const { path, mode, groupId } = address;
  // libuv cuts a longer path off without a word, and the socket would appear under another name.
  if (Buffer.byteLength(path) > maxUnixPathBytes) throw new CopseError('ENAMETOOLONG', 'the path is too long');
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await removeStaleSocket(path);
  await listenOn(server, { path });
  if (groupId !== undefined) await chown(path, -1, groupId);
  if (mode !== undefined) await chmod(path, mode);
}

/** A socket that a killed daemon left behind goes; one that somebody listens on stays, and so does anything that is no socket. */
async function removeStaleSocket(path: string): Promise<void> {
  const stat = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new CopseError('ERR_LISTEN', 'a file that is no socket is in the way; remove it or choose another path');
  // Only a refusal proves that nobody listens: a full backlog and a lack of permission are errors too.
  const stale = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(['ECONNREFUSED', 'ENOENT'].includes(errorCode(error))));
  });
  if (!stale) throw new CopseError('ERR_LISTEN', 'another process has it; stop it or choose another path');
  await unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
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
  const bound = server.address();
  if (typeof bound === 'string') return formatNbdUri({ address: { path: bound }, exportName: '' });
  if (bound !== null) return formatNbdUri({ address: { host: hostOf(bound, address), port: bound.port }, exportName: '' });
  const path = address.kind === 'descriptor' ? pathOfDescriptor(address.descriptor) : undefined;
  return path === undefined ? describe(address) : formatNbdUri({ address: { path }, exportName: '' });
}

/** Where a unix socket that was passed is bound, which Node does not know. Source: proc(5), /proc/net/unix. */
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
