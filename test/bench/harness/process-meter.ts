/**
 * CPU and memory of a process and its descendants, from /proc.
 *
 * CPU has the kernel's resolution of 10 ms: measure runs of a second and more.
 */
import { readdir, readFile } from 'node:fs/promises';

/** USER_HZ of every Linux that Node runs on. */
const ticksPerSecond = 100;

interface Stat {
  pid: number;
  parentPid: number;
  /** Own ticks and those of children that were waited for. */
  ticks: number;
}

async function readStat(pid: number): Promise<Stat | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // ended meanwhile
  }
  // The command's name may hold spaces and parentheses: count from its last one. Field 3 (state) comes first.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  return { pid, parentPid: field(4), ticks: field(14) + field(15) + field(16) + field(17) };
}

async function tree(rootPid: number): Promise<Stat[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const all = (await Promise.all(pids.map(readStat))).filter((stat): stat is Stat => stat !== undefined);
  const found = all.filter((stat) => stat.pid === rootPid);
  for (const parent of found) found.push(...all.filter((stat) => stat.parentPid === parent.pid)); // grows while it is walked
  return found;
}

/** Seconds of CPU, user and system, that the process, its living descendants and its reaped children have used so far. */
export async function cpuSeconds(pid: number): Promise<number> {
  return (await tree(pid)).reduce((sum, stat) => sum + stat.ticks, 0) / ticksPerSecond;
}

/** Resident bytes of the process and its living descendants (pages that they share count for each). */
export async function residentBytes(pid: number): Promise<number> {
  const pids = (await tree(pid)).map((stat) => stat.pid);
  const sizes = await Promise.all(
    pids.map(async (each) => {
      const status = await readFile(`/proc/${each}/status`, 'utf8').catch(() => '');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
