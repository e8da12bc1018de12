/** Real NBD servers on unix sockets, each ended by the test that began it. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../support/wait.js';

export interface ServerProcess {
  path: string;
  /** Ends it hard. */
  stop(): Promise<void>;
}

async function start(program: string, argumentsFor: (socket: string) => string[]): Promise<ServerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'copse-nbd-'));
  const path = join(folder, 's');
  const child = spawn(program, argumentsFor(path), { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  // Neither program says when it listens: ask until it answers.
  const answers = (): Promise<boolean> => {
    return new Promise((resolve) => {
      const socket = connect(path);
      socket.once('connect', () => socket.destroy());
      socket.once('error', () => resolve(false));
      socket.once('close', (failed) => resolve(!failed));
    });
  };
  try {
    await until(`${program} listens`, async () => child.exitCode !== null || (await answers()));
    if (child.exitCode !== null) throw new Error(`${program} ended with code ${child.exitCode}`);
    return { path, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @param words plugin, filters and parameters */
export function startNbdkit(...words: string[]): Promise<ServerProcess> {
  return start('nbdkit', (socket) => ['--foreground', '--exit-with-parent', '--unix', socket, ...words]);
}

/** @param words options and the image; `--persistent` and `--shared=0` are given */
export function startQemuNbd(...words: string[]): Promise<ServerProcess> {
  return start('qemu-nbd', (socket) => ['--socket', socket, '--persistent', '--shared=0', ...words]);
}
