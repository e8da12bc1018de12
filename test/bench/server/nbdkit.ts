/** nbdkit: its curl plugin under the cow filter with cow-on-read, and its file plugin. */
import { join } from 'node:path';
import { freePort } from '../harness/free-port.js';
import { Program } from '../harness/program.js';
import type { RunningServer, ServerKind } from './server.js';

type Wrap = (command: string, args: readonly string[]) => { command: string; args: string[] };

async function start(
  dir: string,
  pluginArgs: string[],
  wrap: Wrap = (command, args) => ({ command, args: [...args] }),
): Promise<RunningServer> {
  const socketPath = join(dir, 'nbd.sock');
  // The cow filter keeps its overlay in TMPDIR, unlinked.
  const args = [`TMPDIR=${dir}`, 'nbdkit', '--foreground', '--unix', socketPath, ...pluginArgs];
  const program = await Program.start({
    ...wrap('env', args),
    logPath: join(dir, 'log'),
    readySocket: socketPath,
  });
  return { program, socketPath, exportName: '', close: () => program.close() };
}

/** With an empty cache over `url`. @param wrap makes the command that starts it somewhere else */
export function startColdNbdkit(dir: string, url: string, wrap?: Wrap): Promise<RunningServer> {
  return start(dir, ['--filter=cow', 'curl', url, 'cow-on-read=true'], wrap);
}

/** Its file plugin, by TCP. */
export async function startTcpNbdkit(dir: string, filePath: string): Promise<RunningServer> {
  const port = await freePort();
  const program = await Program.start({
    command: 'nbdkit',
    args: ['--foreground', '--ipaddr=127.0.0.1', `--port=${port}`, '--readonly', 'file', filePath],
    logPath: join(dir, 'log'),
    readySocket: port,
  });
  return { program, socketPath: '', port, exportName: '', close: () => program.close() };
}

export const nbdkit: ServerKind = {
  name: 'nbdkit',
  startCold: (dir, url) => startColdNbdkit(dir, url),
  startWarm: (dir, filePath) => start(dir, ['--readonly', 'file', filePath]),
};
