/** Runs the built `copse` command against an admin API whose control is a fake. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa, type Options, type ResultPromise } from 'execa';
import type { Test } from 'tap';
import { createAdminServer } from '../../src/admin/server.js';
import { silentLogger } from '../../src/base/log.js';
import { FakeControl } from '../admin/fake-control.js';
import { shortDir } from '../admin/short-dir.js';

export const mainPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface CliResult {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

export type StartOptions = Omit<Options, 'env'> & { env?: Record<string, string> };

/** Starts `copse ARGS` with an environment that has nothing to do with the machine's. */
export function start(args: string[], options: StartOptions = {}): ResultPromise {
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...options.env };
  const settings: Options = { reject: false, stdin: 'ignore', ...options, env, extendEnv: false };
  return execa(process.execPath, [mainPath, ...args], settings);
}

export async function run(args: string[], options: StartOptions = {}): Promise<CliResult> {
  const { exitCode, stdout, stderr } = await start(args, options);
  return { exitCode, stdout: String(stdout), stderr: String(stderr) };
}

/** A state directory whose admin socket is answered by `control`, which holds the image debian/12. */
export async function fakeDaemon(test: Test) {
  const control = new FakeControl();
  await control.addImage({ name: 'debian/12', url: 'https://images.example/d.raw' });
  const stateDir = shortDir(test);
  const server = createAdminServer(control, { log: silentLogger });
  const address = `unix:${join(stateDir, 'admin.sock')}`;
  await server.listen({ kind: 'unix', path: join(stateDir, 'admin.sock') });
  test.teardown(() => server.close());
  return { control, server, stateDir, address, cli: (...args: string[]) => run([...args, '--state', stateDir]) };
}
