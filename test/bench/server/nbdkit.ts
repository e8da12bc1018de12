/** nbdkit: its curl plugin under the cow filter with cow-on-read, and its file plugin. */
import { join } from 'node:path';
import { Program } from '../harness/program.js';
import type { RunningServer, ServerKind } from './server.js';

async function start(dir: string, args: string[]): Promise<RunningServer> {
  const socketPath = join(dir, 'nbd.sock');
  const program = await Program.start({
    command: 'env',
    // The cow filter keeps its overlay in TMPDIR, unlinked.
    args: [`TMPDIR=${dir}`, 'nbdkit', '--foreground', '--unix', socketPath, ...args],
    logPath: join(dir, 'log'),
    readySocket: socketPath,
  });
  return { program, socketPath, exportName: '', close: () => program.close() };
}

export const nbdkit: ServerKind = {
  name: 'nbdkit',
  startCold: (dir, url) => start(dir, ['--filter=cow', 'curl', url, 'cow-on-read=true']),
  startWarm: (dir, filePath) => start(dir, ['--readonly', 'file', filePath]),
};
