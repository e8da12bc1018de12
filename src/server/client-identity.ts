/**
 * Tells one client from another: of a unix socket the process that connected it, of TCP the host.
 *
 * A process is its pid and its start time: pids come again, the pair does not before the host starts anew. Where the start time can't be
 * read the process is held by a pidfd instead (`hidden-process.ts`). The process is the one that called connect(2): a descriptor that was
 * handed on to another process is still the first one's.
 * Source: unix(7), SO_PEERCRED; proc(5), /proc/PID/stat.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { errorCode } from '../base/error.js';
import { native } from '../base/native.js';
import type { ClientIdentity } from './export.js';
import { hiddenKeyOf, isHiddenAlive, isNumberFree, parseHiddenKey } from './hidden-process.js';

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
  const descriptor = descriptorOf(socket);
  const pid = descriptor === undefined ? undefined : pidOf(descriptor);
  if (descriptor === undefined || pid === undefined) return unknownClient('a client that has gone');
  const found = pid === 0 ? undefined : readProcess(pid);
  if (found !== undefined) return { key: `unix:${pid}:${found.startTime}`, text: `pid ${pid} (${found.command})` };
  const text = pid === 0 ? 'a client of another pid namespace' : `pid ${pid}`;
  const key = hiddenKeyOf(descriptor, pid);
  return key === undefined ? unknownClient(text) : { key, text };
}

/** Whether the process of a key still runs. `undefined`: nobody can tell, as of a host by its address. */
export function isClientAlive(key: string): boolean | undefined {
  if (key.startsWith('pidfd:')) return isHiddenAlive(key);
  const { pid, startTime } = parseVisibleKey(key) ?? {};
  if (pid === undefined) return undefined;
  try {
    const found = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    // A zombie has no descriptors any more.
    return found === undefined ? undefined : found.startTime === startTime && !'ZX'.includes(found.state);
  } catch (error) {
    // A process that is hidden looks as one that has ended.
    return ['ENOENT', 'ESRCH'].includes(errorCode(error)) && isNumberFree(pid) ? false : undefined;
  }
}

/** True for a client that this daemon can't tell from one that an earlier run of it knew. */
export function isHiddenClient(key: string): boolean {
  return key === 'unknown' || key.startsWith('pidfd:');
}

/** True for the key of a process: equal keys are one client for sure. */
export function isProcess(key: string): boolean {
  return key.startsWith('unix:') || key.startsWith('pidfd:');
}

/**
 * True if the client that was noted is the one of the key, as far as anybody can tell. Where an earlier run of the daemon, or
 * this one, could not read the start time, a process of the same number counts as the same.
 */
export function isSameClient(noted: string, key: string): boolean {
  if (noted === key) return true;
  const [before, now] = [processOf(noted), processOf(key)];
  if (before === undefined || now === undefined || before.process !== now.process) return false;
  const bothKnown = before.startTime !== undefined && now.startTime !== undefined;
  const oneRun = before.run !== undefined && before.run === now.run;
  return !bothKnown && !oneRun;
}

/** True if this daemon can read of other users' processes when they began. */
export function canSeeProcesses(): boolean {
  // Of the superuser, in every pid namespace that has one.
  return readProcess(1) !== undefined;
}

function processOf(key: string): { process: string; run?: string; startTime?: string } | undefined {
  const visible = parseVisibleKey(key);
  return visible === undefined ? parseHiddenKey(key) : { process: visible.pid, startTime: visible.startTime };
}

function parseVisibleKey(key: string): { pid: string; startTime: string } | undefined {
  const [, pid, startTime] = /^unix:(\d+):(\d+)$/.exec(key) ?? [];
  return pid === undefined || startTime === undefined ? undefined : { pid, startTime };
}

/** Node knows the descriptor of a socket, but shows it nowhere; of one that was closed already it is negative. */
function descriptorOf(socket: Socket & { _handle?: { fd?: unknown } | null }): number | undefined {
  const descriptor = socket._handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}

function pidOf(descriptor: number): number | undefined {
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
