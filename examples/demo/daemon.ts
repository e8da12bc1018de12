/** Copse itself, started the way an operator does. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Lifetime, startProgram } from './lifetime.js';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface Daemon {
  readonly socketPath: string;
  stop(): Promise<void>;
}

/** Resolves when the daemon has said that it serves. */
export async function startDaemon(lifetime: Lifetime, options: { workDir: string; image: string; url: string }): Promise<Daemon> {
  const { workDir, image, url } = options;
  const socketPath = join(workDir, 'nbd.sock');
  const args = [command, 'serve', '--state', join(workDir, 'state'), '--listen', `unix:${socketPath}`, '--image', `${image}=${url}`];
  const daemon = startProgram(lifetime, process.execPath, args, join(workDir, 'copse.log'));
  if (!(await daemon.waitForLine(/^copse: ready/))) throw new Error('copse ended before it was ready');
  return { socketPath, stop: () => daemon.stop() };
}
