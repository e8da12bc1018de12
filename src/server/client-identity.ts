/**
 * Tells one client from another: of a unix socket the process that connected it, of TCP the host.
 *
 * A process is its pid and its start time: pids come again, the pair does not before the host starts anew. It is who called connect(2): a descriptor that was handed on to another process is still the first one's.
 * Source: unix(7), SO_PEERCRED; proc(5), /proc/PID/stat.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { errorCode } from '../base/error.js';
import { native } from '../base/native.js';
import type { ClientIdentity } from './export.js';

/** A client of whom nothing can be known: its stream is no socket of this host. */
export function unknownClient(text: string): ClientIdentity {
  return { key: 'unknown', text };
}

/** Who is at the other end, to be asked as soon as the socket is accepted: a process that has gone since is unknown. Never throws. */
export function identifyClient(socket: Socket): ClientIdentity {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress !== undefined) {
    const address = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(remoteAddress)?.[1] ?? remoteAddress;
    return { key: `tcp:${address}`, text: address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}` };
  }
  const pid = pidOf(socket);
  if (pid === undefined) return unknownClient('a client that has gone');
  const found = pid === 0 ? undefined : readProcess(pid);
  if (found === undefined) return unknownClient('a client of another pid namespace');
  return { key: `unix:${pid}:${found.startTime}`, text: `pid ${pid} (${found.command})` };
}

/** Whether the process of a `unix:` key still runs. `undefined`: nobody can tell, as of a host by its address. */
export function isClientAlive(key: string): boolean | undefined {
  const [, pid, startTime] = /^unix:(\d+):(\d+)$/.exec(key) ?? [];
  if (pid === undefined) return undefined;
  try {
    const found = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    // A zombie has no descriptors any more.
    return found === undefined ? undefined : found.startTime === startTime && !'ZX'.includes(found.state);
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes(errorCode(error)) ? false : undefined;
  }
}

/** Node knows the descriptor of a socket, but shows it nowhere; of one that was closed already it is negative. */
function pidOf(socket: Socket & { _handle?: { fd?: unknown } | null }): number | undefined {
  const descriptor = socket._handle?.fd;
  if (typeof descriptor !== 'number' || descriptor < 0) return undefined;
  try {
    return native.peerCredentials(descriptor).pid;
  } catch {
    return undefined;
  }
}

function readProcess(pid: number): ReturnType<typeof parseStat> {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** `PID (COMMAND) STATE …`, the start time is field 22. The command may hold anything, spaces and parentheses too; what follows its last `)` does not. */
export function parseStat(text: string): { command: string; state: string; startTime: string } | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text
    .slice(close + 1)
    .trim()
    .split(' ');
  const [state, startTime] = [fields[0], fields[22 - 3]];
  if (state === undefined || startTime === undefined || !/^\d+$/.test(startTime)) return undefined;
  return { command: text.slice(open + 1, close), state, startTime };
}
