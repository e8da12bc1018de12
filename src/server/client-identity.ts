/**
 * Tells one client from another. A client on a unix socket is the process that connected it; a
 * client on TCP is its host.
 *
 * A process is its pid and its start time. A pid comes again, but the pair does not before the host
 * restarts. If the start time can't be read, a pidfd holds the process instead
 * (`hidden-process.ts`). The process is the one that called connect(2), even if it has passed the
 * descriptor on.
 *
 * Source: unix(7), SO_PEERCRED; proc(5), /proc/PID/stat.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { errorCode } from '../base/error.js';
import { native } from '../base/native/loader.js';
import type { ClientIdentity } from './export.js';
import { hiddenKeyOf, isHiddenAlive, isNumberFree, parseHiddenKey } from './hidden-process.js';

/** Identity of a client whose stream is no socket of this host; nothing can be known of it. */
export function unknownClient(text: string): ClientIdentity {
  return { key: 'unknown', text };
}

/**
 * Identifies the client of a socket. Call it as soon as the socket is accepted: a process that has
 * ended since is unknown. Never throws.
 */
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

/**
 * Tells if the process of a key still runs; `undefined` if that can't be told, as for a TCP
 * address.
 */
export function isClientAlive(key: string): boolean | undefined {
  if (key.startsWith('pidfd:')) return isHiddenAlive(key);
  const { pid, startTime } = parseVisibleKey(key) ?? {};
  if (pid === undefined) return undefined;
  try {
    const found = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    // A zombie has no descriptors any more.
    return found === undefined ? undefined : found.startTime === startTime && !'ZX'.includes(found.state);
  } catch (error) {
    // A hidden process looks like one that has ended.
    return ['ENOENT', 'ESRCH'].includes(errorCode(error)) && isNumberFree(pid) ? false : undefined;
  }
}

/** True if this daemon can't tell the client from one that an earlier run of the daemon knew. */
export function isHiddenClient(key: string): boolean {
  return key === 'unknown' || key.startsWith('pidfd:');
}

/** True for the key of a process. Equal keys of this kind always mean one client. */
export function isProcess(key: string): boolean {
  return key.startsWith('unix:') || key.startsWith('pidfd:');
}

/**
 * True if the noted client is the client of the key, as far as that can be told. If the start time
 * could not be read, in this run of the daemon or an earlier one, a process with the same pid
 * counts as the same.
 */
export function isSameClient(noted: string, key: string): boolean {
  if (noted === key) return true;
  const [before, now] = [processOf(noted), processOf(key)];
  if (before === undefined || now === undefined || before.process !== now.process) return false;
  const bothKnown = before.startTime !== undefined && now.startTime !== undefined;
  const oneRun = before.run !== undefined && before.run === now.run;
  return !bothKnown && !oneRun;
}

/** True if this daemon can read the start times of other users' processes. */
export function canSeeProcesses(): boolean {
  // Process 1 belongs to the superuser in every pid namespace.
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

/**
 * Descriptor of a socket, which Node.js has but does not document. A closed socket has a negative
 * one.
 */
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

/**
 * Parses `PID (COMMAND) STATE …`; the start time is field 22. The command may hold spaces and
 * parentheses, so the fields are counted from its last `)`.
 */
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
