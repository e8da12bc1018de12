/**
 * Binds unix sockets.
 *
 * Invariants: a socket never lies at its path with a wrong mode or group, and no other user can
 * reach it before it does. A socket file is replaced only if no process answers on it. Only the
 * file that was bound here is removed at the end.
 *
 * In a directory that other users may enter, the socket is bound in a directory of its own (mode
 * 0700). It moves to its path when mode and group are set. Programs that show the bound name of a
 * socket (ss, /proc/net/unix) show a path in that directory then. In a directory of this user
 * alone, the socket is bound at its path.
 */
import { chmodSync, chownSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { lstat, mkdtemp, open, rm, stat } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { CopseError, errorCode } from './error.js';
import { makeDirectory } from './make-directory.js';
import { maxUnixPathBytes } from './unix-path.js';

export interface UnixSocketOptions {
  /** Absolute path. */
  path: string;
  /** Permission bits. */
  mode: number;
  /** Numeric group; by default the process's own. */
  groupId?: number | undefined;
}

/**
 * Makes the path's directory, and makes the server listen there.
 *
 * @returns a function that removes the socket's file if it still is this server's; call it before
 * the server is closed, because the number of its inode may be given away then
 * @throws CopseError `ENAMETOOLONG`; `ERR_DIRECTORY`; `ERR_SOCKET_PATH` if another kind of file is
 * in the way; `ERR_SOCKET_TAKEN` if a process answers there; the system's errors
 */
export async function listenOnUnixSocket(server: Server, { path, mode, groupId }: UnixSocketOptions): Promise<() => void> {
  // libuv cuts a longer path off silently, and the socket would appear under another name.
  if (Buffer.byteLength(path) > maxUnixPathBytes) {
    throw new CopseError('ENAMETOOLONG', `the path of a unix socket may have at most ${maxUnixPathBytes} bytes`);
  }
  await makeDirectory(dirname(path), 0o755);
  const isStale = await checkFree(path);
  if (await isPrivate(dirname(path))) {
    if (isStale) await rm(path, { force: true });
    await bindAt(server, path);
    return settle(path, path, { mode, groupId });
  }
  const dir = await mkdtemp(join(dirname(path), '.bind-'));
  const handle = await open(dir, 'r');
  try {
    // The name is longer than the requested one, and may be too long. By the descriptor, the
    // directory has a short one.
    const direct = join(dir, basename(path));
    const bound = Buffer.byteLength(direct) <= maxUnixPathBytes ? direct : `/proc/self/fd/${handle.fd}/s`;
    await bindAt(server, bound);
    return settle(bound, path, { mode, groupId });
  } finally {
    await handle.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function bindAt(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** @returns a function that removes the file */
function settle(bound: string, path: string, { mode, groupId }: Pick<UnixSocketOptions, 'mode' | 'groupId'>): () => void {
  if (groupId !== undefined) chownSync(bound, -1, groupId);
  chmodSync(bound, mode);
  const { dev, ino } = lstatSync(bound);
  if (bound !== path) renameSync(bound, path);
  return () => unlinkIf(path, dev, ino);
}

/** True if no other user but root can enter it. */
async function isPrivate(dir: string): Promise<boolean> {
  const { mode, uid } = await stat(dir);
  return (mode & 0o077) === 0 && uid === process.geteuid?.();
}

function unlinkIf(path: string, dev: number, ino: number): void {
  try {
    const found = lstatSync(path);
    if (found.dev === dev && found.ino === ino) unlinkSync(path);
  } catch {
    // The file is gone, or this user may not remove it any more.
  }
}

/**
 * Checks that a path is free. A socket that a killed daemon left behind may be replaced. A socket
 * with a listener, and any other file, may not.
 *
 * @returns true if there is a socket to replace
 */
async function checkFree(path: string): Promise<boolean> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return false;
  if (!found.isSocket())
    throw new CopseError('ERR_SOCKET_PATH', 'a file that is no socket is in the way; remove it or choose another path');
  // Only a refusal proves that there is no listener: a full backlog and a lack of permission are
  // errors too.
  const isFree = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(['ECONNREFUSED', 'ENOENT'].includes(errorCode(error))));
  });
  if (!isFree) throw new CopseError('ERR_SOCKET_TAKEN', 'another process has it; stop it or choose another path');
  return true;
}
