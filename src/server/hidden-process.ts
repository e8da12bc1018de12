/**
 * Processes whose start time this daemon can't read, because /proc hides them or they are in another pid namespace.
 * Each one is held by a pidfd, so that its number can't come to mean another process unseen.
 *
 * A key is `pidfd:PROCESS:RUN.COUNT`. PROCESS is the pid, or `i` and the inode of the pidfd for a process without a
 * pid here. RUN is this daemon process. A key of an earlier run names a process that nobody has held since.
 *
 * Invariants: a process has one key for as long as it lives; a key is never given twice; at most `mostProcesses` pidfds.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, statfsSync } from 'node:fs';
import { native } from '../base/native.js';

/** As many clients as a host may have at once; those that have ended leave earlier. */
const mostProcesses = 4096;
/** As few as are never looked through. */
const leastSweep = 64;
/** PID_FS_MAGIC, linux/magic.h: from Linux 6.9 on a process has an inode of its own until the next boot. */
const pidfsType = 0x50494446;

const run = randomBytes(6).toString('hex');
/** By PROCESS. */
const held = new Map<string, { pidfd: number; key: string }>();
let count = 0;
let sweepAt = leastSweep;

/**
 * The key of the process that connected a socket.
 *
 * @param pid as SO_PEERCRED has it; 0 for a process of a pid namespace that this one can't see
 * @returns `undefined` for a process that has gone, or that can't be held
 */
export function hiddenKeyOf(socketDescriptor: number, pid: number): string | undefined {
  let pidfd: number;
  try {
    pidfd = native.openPeerProcess(socketDescriptor);
  } catch {
    return undefined;
  }
  const process = hasEnded(pidfd) ? undefined : processOf(pidfd, pid);
  const known = process === undefined ? undefined : held.get(process);
  if (process === undefined || (known !== undefined && !hasEnded(known.pidfd))) {
    closeSync(pidfd);
    return known?.key;
  }
  if (known !== undefined) forget(process);
  if (held.size >= sweepAt) sweep();
  if (held.size >= mostProcesses) {
    closeSync(pidfd);
    return undefined;
  }
  count += 1;
  const key = `pidfd:${process}:${run}.${count}`;
  held.set(process, { pidfd, key });
  return key;
}

/** `undefined` for a key of an earlier run whose process can't be told from a later one of its number. */
export function isHiddenAlive(key: string): boolean | undefined {
  const { process, run: keyRun } = parseHiddenKey(key) ?? {};
  if (process === undefined) return undefined;
  if (keyRun !== run) return isNumberFree(process) ? false : undefined;
  const known = held.get(process);
  return known?.key === key && !hasEnded(known.pidfd);
}

export function parseHiddenKey(key: string): { process: string; run: string } | undefined {
  const [, process, keyRun] = /^pidfd:(\d+|i\d+):([0-9a-f]+)\.\d+$/.exec(key) ?? [];
  return process === undefined || keyRun === undefined ? undefined : { process, run: keyRun };
}

/** True if no process of this pid namespace has the number. kill(2) tells that where /proc does not. */
export function isNumberFree(pid: string): boolean {
  if (!/^[1-9]\d*$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** The kernel gives every pidfd one inode before Linux 6.9, which tells nothing. */
function processOf(pidfd: number, pid: number): string | undefined {
  if (pid > 0) return String(pid);
  try {
    return statfsSync(`/proc/self/fd/${pidfd}`).type === pidfsType ? `i${fstatSync(pidfd, { bigint: true }).ino}` : undefined;
  } catch {
    return undefined;
  }
}

function hasEnded(pidfd: number): boolean {
  try {
    return native.hasProcessEnded(pidfd);
  } catch {
    // The descriptor is this module's own, so poll(2) has no reason to fail. Taking the process for alive keeps it out.
    return false;
  }
}

function forget(process: string): void {
  const known = held.get(process);
  held.delete(process);
  if (known !== undefined) closeSync(known.pidfd);
}

function sweep(): void {
  for (const [process, { pidfd }] of held) if (hasEnded(pidfd)) forget(process);
  sweepAt = Math.max(leastSweep, 2 * held.size);
}
