/** Runs a real NBD server on a unix socket for a test. */
import { existsSync, rmSync } from 'node:fs';
import { execa } from 'execa';
import { until } from '../support/wait.js';

export interface NbdProgram {
  readonly url: string;
  stop(): Promise<void>;
}

/** nbdkit in the foreground; `options` are filters, plugin and parameters. Resolves when it listens. */
export function nbdkit(socketPath: string, ...options: string[]): Promise<NbdProgram> {
  const pidPath = `${socketPath}.pid`;
  return start(
    'nbdkit',
    ['--foreground', '--exit-with-parent', '--unix', socketPath, '--pidfile', pidPath, ...options],
    socketPath,
    pidPath,
  );
}

export function qemuNbd(socketPath: string, ...options: string[]): Promise<NbdProgram> {
  const pidPath = `${socketPath}.pid`;
  return start('qemu-nbd', ['--persistent', '--shared=8', '--socket', socketPath, '--pid-file', pidPath, ...options], socketPath, pidPath);
}

async function start(program: string, options: string[], socketPath: string, pidPath: string): Promise<NbdProgram> {
  const child = execa(program, options, { reject: false, stdin: 'ignore' });
  let exited = false;
  const exit = child.then((result) => {
    exited = true;
    return result;
  });
  // Both write the file once they listen; neither says so otherwise.
  await until(`${program} listens`, () => exited || existsSync(pidPath));
  if (exited) throw new Error(`${program} ended at once: ${(await exit).stderr}`);
  return {
    url: `nbd+unix:///?socket=${encodeURIComponent(socketPath)}`,
    stop: async () => {
      child.kill('SIGKILL');
      await exit;
      rmSync(socketPath, { force: true });
      rmSync(pidPath, { force: true });
    },
  };
}
