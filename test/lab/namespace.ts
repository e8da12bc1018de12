/**
 * Names of the lab's network namespaces, and the sweep of those whose maker is gone.
 *
 * A name holds its maker's process id and that process's start time, since ids are used again.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { execa } from 'execa';

const namePattern = /^copse-lab-(\d+-\d+)-/;

/** Ticks since boot; undefined when there is no such process. Source: proc(5), field 22 of stat. */
function startTicks(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** This process's id and start time: what it makes is named after it. */
export function processMark(): string {
  return `${process.pid}-${startTicks(process.pid)}`;
}

/** Is the process that such a mark stands for gone? */
export function isGone(mark: string): boolean {
  const [pid, ticks] = mark.split('-');
  return startTicks(Number(pid)) !== ticks;
}

let labCount = 0;

/** Starts the names of one lab's namespaces: unique on this machine. */
export function namePrefix(): string {
  labCount += 1;
  return `copse-lab-${processMark()}-${labCount}`;
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
    const [, mark] = namePattern.exec(name) ?? [];
    if (mark !== undefined && isGone(mark)) await removeNamespace(name);
  }
}
