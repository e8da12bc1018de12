/** One host of the cluster: a daemon, started and asked the way an operator does, with a state directory and addresses of its own. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { AdminClient } from '../../src/admin/client.js';
import { type Lifetime, startProgram } from '../demo/lifetime.js';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Ten times what neighbours need to hear of each other, and of an image. */
const neighbourTimeoutMs = 60_000;
const lookMs = 100;

export interface HostOptions {
  id: string;
  workDir: string;
  /** Where the other hosts reach this one. */
  address: string;
  /** What follows `copse serve` beyond that. */
  args: readonly string[];
}

export interface Host {
  readonly id: string;
  readonly address: string;
  readonly stateDir: string;
  readonly socketPath: string;
  /** The command that started it. */
  readonly commandLine: string;
  /** Runs `copse …` for this host's daemon; resolves to what it prints. */
  copse(...args: string[]): Promise<string>;
  uri(image: string): string;
}

/** Resolves when the daemon has said that it serves. */
export async function startHost(lifetime: Lifetime, options: HostOptions): Promise<Host> {
  const { id, workDir, address } = options;
  const stateDir = join(workDir, id);
  await mkdir(stateDir, { mode: 0o700 });
  const socketPath = join(stateDir, 'nbd.sock');
  const args = ['serve', '--node', id, '--address', address, '--state', stateDir, '--listen', `unix:${socketPath}`];
  // Small and without a floor, so that this runs on a disk that is nearly full, too.
  args.push('--cache-size', '1G', '--min-free', '0', ...options.args);
  const logPath = join(workDir, `${id}.log`);
  const daemon = startProgram(lifetime, process.execPath, [command, ...args], logPath);
  if (!(await daemon.waitForLine(/^copse: ready/))) throw new Error(`${id} ended before it was ready; why is in ${logPath}`);
  return {
    id,
    address,
    stateDir,
    socketPath,
    commandLine: `copse ${args.join(' ')}`,
    copse: async (...rest) => (await execa(process.execPath, [command, ...rest, '--state', stateDir])).stdout,
    uri: (image) => `nbd+unix:///${image}?socket=${socketPath}`,
  };
}

/** Resolves when each of the hosts knows so many, with itself, that are well and serve the image. Until then it may ask the origin more than it had to. */
export async function waitForNeighbours(hosts: readonly Host[], image: string, hostCount: number): Promise<void> {
  const untilMs = Date.now() + neighbourTimeoutMs;
  await Promise.all(
    hosts.map(async (host) => {
      while (!(await knowsHosts(host, image, hostCount))) {
        if (Date.now() > untilMs) throw new Error(`${host.id} does not see the others:\n${await host.copse('cluster', 'status')}`);
        await new Promise((resolve) => setTimeout(resolve, lookMs));
      }
    }),
  );
}

/** Asked over the admin API: a command each time would keep a small machine busy. With etcd the image comes to a host a moment after it was added to another. */
async function knowsHosts(host: Host, image: string, hostCount: number): Promise<boolean> {
  const admin = new AdminClient({ kind: 'unix', path: join(host.stateDir, 'admin.sock') });
  try {
    return (await admin.cluster.imageStatus(image)).nodes.length >= hostCount;
  } catch {
    return false;
  } finally {
    await admin.close();
  }
}
