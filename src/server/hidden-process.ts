/**
 * Processes whose start time this daemon can't read: /proc hides them, or they are in another pid
 * namespace. A pidfd holds each of them, so that its pid can't come to mean another process unseen.
 *
 * A key is `pidfd:PROCESS:RUN.COUNT`. PROCESS is the pid, or `i` and the inode of the pidfd for a
 * process without a pid here. RUN is this daemon process. A key of an earlier run names a process
 * that no pidfd holds any more.
 *
 * Invariants: a process has one key for as long as it lives. A key is never given twice. At most
 * `maxProcesses` pidfds are open.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, statfsSync } from 'node:fs';
import { native } from '../base/native/loader.js';

/**
 * Bound on the held processes; as many as the clients of one host. Processes that have ended leave
 * earlier.
 */
const maxProcesses = 4096;
/** Number of held processes below which a sweep is not worthwhile. */
const minSweep = 64;
/**
 * PID_FS_MAGIC of linux/magic.h. From Linux 6.9 on a process has an inode of its own until the next
 * boot.
 */
const pidfsType = 0x50494446;

const run = randomBytes(6).toString('hex');
/** Held processes by PROCESS. */
const held = new Map<string, { pidfd: number; key: string }>();
let count = 0;
let sweepAt = minSweep;

/**
 * Returns the key of the process that connected a socket; `undefined` if the process has ended or
 * can't be held.
 *
 * @param pid pid from SO_PEERCRED; 0 for a process of a pid namespace that this one can't see
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
  if (held.size >= maxProcesses) {
    closeSync(pidfd);
    return undefined;
  }
  count += 1;
  const key = `pidfd:${process}:${run}.${count}`;
  held.set(process, { pidfd, key });
  return key;
}

/**
 * Tells if the process of a key runs; `undefined` for a key of an earlier run whose process can't
 * be told from a later one with its pid.
 */
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

/**
 * True if no process of this pid namespace has the pid. kill(2) tells that where /proc does not.
 */
export function isNumberFree(pid: string): boolean {
  if (!/^[1-9]\d*$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Before Linux 6.9 the kernel gives all pidfds one inode, which says nothing. */
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
    // The descriptor is this module's own, so poll(2) does not fail. An ended process that counts
    // as alive only stays locked out.
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
  sweepAt = Math.max(minSweep, 2 * held.size);
}
