/** Runs the built `copse` command against an admin API whose control is a fake. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa, type Options, type ResultPromise } from 'execa';
import t, { type Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { FakeControl } from '../admin/fake-control.js';
import { createAdminServer } from '../admin/serve.js';
import { shortDir } from '../support/short-dir.js';

const mainPath = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface CliResult {
  exitCode: number | undefined;
  stdout: string;
  stderr: string;
}

export type StartOptions = Omit<Options, 'env'> & { env?: Record<string, string> };

/** Nothing to do with the machine's. */
const environment = { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent' };

/** Starts `copse ARGS`, a process of its own. */
export function start(args: string[], options: StartOptions = {}): ResultPromise {
  const env = { ...environment, ...options.env };
  const settings: Options = { reject: false, stdin: 'ignore', ...options, env, extendEnv: false };
  return execa(process.execPath, [mainPath, ...args], settings);
}

export async function run(args: string[], options: StartOptions = {}): Promise<CliResult> {
  const { exitCode, stdout, stderr } = await start(args, options);
  return { exitCode, stdout: String(stdout), stderr: String(stderr) };
}

let shared: ChildProcess | undefined;
let lastCommand: Promise<unknown> = Promise.resolve();

/** As `run`, in the one process that all commands of a test file share. One after another, in the order of the calls. */
export function runShared(args: string[]): Promise<CliResult> {
  const command = async (): Promise<CliResult> => {
    if (shared === undefined) {
      const child = fork(fileURLToPath(new URL('./cli-process.js', import.meta.url)), { env: environment, execArgv: [] });
      t.teardown(() => child.connected && child.disconnect());
      shared = child;
    }
    const abort = new AbortController();
    const answered = once(shared, 'message', abort);
    const ended = once(shared, 'exit', abort).then(([code]) =>
      Promise.reject(new Error(`the process ended, with exit code ${code}, of copse ${args.join(' ')}`)),
    );
    shared.send(args);
    const [result] = (await Promise.race([answered, ended]).finally(() => abort.abort())) as [CliResult];
    return result;
  };
  const result = lastCommand.then(command, command);
  lastCommand = result;
  return result;
}

/** A state directory whose admin socket is answered by `control`, which holds the image debian/12. */
export async function fakeDaemon(test: Test, control = new FakeControl()) {
  await control.images.add({ name: 'debian/12', url: 'https://images.example/d.raw' });
  const stateDir = shortDir(test);
  const server = createAdminServer(control, { log: silentLogger });
  const address = `unix:${join(stateDir, 'admin.sock')}`;
  await server.listen({ kind: 'unix', path: join(stateDir, 'admin.sock') });
  test.teardown(() => server.close());
  return { control, server, stateDir, address, cli: (...args: string[]) => runShared([...args, '--state', stateDir]) };
}
