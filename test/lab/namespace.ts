/**
 * Names of the lab's network namespaces, and the sweep of those whose maker is gone.
 *
 * A name holds its maker's process id and that process's start time, since ids are used again.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { execa } from 'execa';

const namePattern = /^copse-lab-(\d+)-(\d+)-/;

/** Ticks since boot; undefined when there is no such process. Source: proc(5), field 22 of stat. */
function startTicks(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

let labCount = 0;

/** Starts the names of one lab's namespaces: unique on this machine. */
export function namePrefix(): string {
  labCount += 1;
  return `copse-lab-${process.pid}-${startTicks(process.pid)}-${labCount}`;
}

/** Ends the processes in the namespace and removes it. */
export async function removeNamespace(name: string): Promise<void> {
  const { stdout } = await execa('ip', ['netns', 'pids', name], { reject: false });
  for (const pid of stdout.split('\n').filter((line) => line !== '')) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  await execa('ip', ['netns', 'delete', name], { reject: false });
}

/** The same for many, in the last moments of a process: without awaiting anything. Processes are left to the next sweep. */
export function removeNamespacesNow(names: readonly string[]): void {
  spawnSync('ip', ['-batch', '-', '-force'], { input: names.map((name) => `netns delete ${name}\n`).join('') });
}

/** Removes what labs left behind whose process was killed. */
export async function sweep(): Promise<void> {
  const { stdout } = await execa('ip', ['netns', 'list']);
  for (const line of stdout.split('\n')) {
    const [name = ''] = line.split(' ');
    const [, pid, ticks] = namePattern.exec(name) ?? [];
    if (pid !== undefined && startTicks(Number(pid)) !== ticks) await removeNamespace(name);
  }
}
