/**
 * Audits the open descriptors of a started qemu-nbd, as the kernel reports them, before Copse reads
 * a byte from it. This is the second line of defence behind the guard.
 *
 * QEMU opens all files of an image while it starts, so it never opens another one later. Allowed
 * are /dev/null, anonymous pipes and event descriptors, its listening socket with the connections
 * on it, and one connection to each private export. A descriptor that can't be examined counts as a
 * finding.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';

export interface AllowedSockets {
  /** Path of the socket that qemu-nbd listens on. */
  listenPath: string;
  /** Paths of its private exports; it has one connection to each. */
  exportPaths: readonly string[];
  /**
   * True if it runs in a network namespace of its own. Then the kernel also tells the far ends of
   * its sockets.
   */
  privateNetwork: boolean;
}

const allowedTarget = /^(?:\/dev\/null|pipe:\[\d+\]|anon_inode:\[(?:eventfd|eventpoll|signalfd|timerfd|io_uring)\])$/;
const standardError = '2';

/** @returns the forbidden descriptors of the process, in words; empty if there are none */
export async function auditDescriptors(pid: number, allowed: AllowedSockets): Promise<string[]> {
  try {
    const targets = await descriptorTargets(pid);
    const unixSockets = await unixSocketPaths(pid);
    // An accepted connection belongs to the network namespace of the client, which is this process.
    const known = new Map([...(await unixSocketPaths('self')), ...unixSockets]);
    return [...foreignTargets(targets, known, allowed), ...foreignPeers(unixSockets, allowed)];
  } catch (error) {
    return [`something that can't be looked at (${error instanceof Error ? error.message : String(error)})`];
  }
}

function foreignTargets(targets: readonly string[], unixSockets: ReadonlyMap<string, string>, allowed: AllowedSockets): string[] {
  const found: string[] = [];
  let connectionCount = 0;
  for (const target of targets) {
    const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
    if (inode === undefined) {
      if (!allowedTarget.test(target)) found.push(target);
      continue;
    }
    const path = unixSockets.get(inode);
    if (path === undefined) found.push('a network socket');
    else if (path === '') connectionCount += 1;
    else if (path !== allowed.listenPath) found.push(`the socket ${path}`);
  }
  if (connectionCount > allowed.exportPaths.length) {
    found.push(`${connectionCount} connections, where ${allowed.exportPaths.length} were expected`);
  }
  return found;
}

/**
 * In a namespace of its own, the table also holds the far ends of its connections, by the path that
 * they were made to.
 */
function foreignPeers(unixSockets: ReadonlyMap<string, string>, { listenPath, exportPaths, privateNetwork }: AllowedSockets): string[] {
  if (!privateNetwork) return [];
  return [...unixSockets.values()]
    .filter((path) => path !== '' && path !== listenPath && !exportPaths.includes(path))
    .map((path) => `a connection to ${path}`);
}

/** Targets of all descriptors but standard error, which is this process's own pipe. */
async function descriptorTargets(pid: number): Promise<string[]> {
  const directory = `/proc/${pid}/fd`;
  const names = (await readdir(directory)).filter((name) => name !== standardError);
  const targets = await Promise.all(names.map((name) => readlink(`${directory}/${name}`).catch(goneIsFine)));
  return targets.filter((target) => target !== undefined);
}

function goneIsFine(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** Inode to path, the empty string for sockets without one. Format: proc(5), `/proc/net/unix`. */
async function unixSocketPaths(pid: number | 'self'): Promise<Map<string, string>> {
  const lines = (await readFile(`/proc/${pid}/net/unix`, 'utf8')).split('\n').slice(1);
  const sockets = new Map<string, string>();
  for (const line of lines) {
    const [, inode, path] = /^(?:\S+\s+){6}(\d+)(?: (.*))?$/.exec(line) ?? [];
    if (inode !== undefined) sockets.set(inode, path ?? '');
  }
  return sockets;
}
