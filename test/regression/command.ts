/** The real `copse` command with descriptors of the test's choice, which execa does not hand on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const mainPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

type Descriptor = 'pipe' | 'ignore' | number;

export interface CommandOptions {
  stdout?: Descriptor;
  stderr?: Descriptor;
  env?: Record<string, string>;
}

export interface Command {
  child: ChildProcess;
  /** Resolves when it has ended; of what is no pipe, nothing is known. */
  ended: Promise<{ exitCode: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }>;
}

/** Has nothing of this machine's environment. */
export function startCommand(args: readonly string[], { stdout = 'pipe', stderr = 'pipe', env = {} }: CommandOptions = {}): Command {
  const child = spawn(process.execPath, [mainPath, ...args], {
    stdio: ['ignore', stdout, stderr],
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env },
  });
  const said = [child.stdout, child.stderr].map((stream) => (stream === null ? '' : text(stream).catch(() => '')));
  const closed = once(child, 'close');
  const ended = closed.then(async ([exitCode, signal]) => ({
    exitCode,
    signal,
    stdout: (await said[0]) ?? '',
    stderr: (await said[1]) ?? '',
  }));
  return { child, ended };
}

export function runCommand(args: readonly string[], options?: CommandOptions): Command['ended'] {
  return startCommand(args, options).ended;
}
