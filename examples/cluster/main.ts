/**
 * Three hosts on one machine, as a cluster.
 *
 * usage: node main.js [--etcd] [--keep] [--boot DISK.raw] (see `run`, which makes ready what is needed)
 *
 * Everything is in a temporary directory and ends with the example; the directory stays, and is named, when something failed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lifetime } from '../demo/lifetime.js';
import { image, runCluster } from './cluster.js';
import type { Host } from './host.js';
import { bootingReader, comparingReader } from './reader.js';

const say = (text: string): void => console.log(`cluster: ${text}`);

function describe(hosts: readonly Host[], workDir: string): string {
  const [host] = hosts;
  const at = `--state ${host?.stateDir}`;
  return `
All hosts run on until ^C. Their state directories, sockets and logs are in ${workDir}:

${hosts.map(({ id, socketPath, address }) => `  ${id}  guests: unix:${socketPath}  peers: tcp:${address}`).join('\n')}

In another terminal, in this checkout (another directory after --state asks another host):

  npx copse cluster status ${at}
  npx copse image status ${image} --cluster ${at}
  npx copse explain ${image} ${at}
  npx copse node drain ${at}
  nbdinfo --map=x-copse:cached '${host?.uri(image)}'
  nbdinfo --list nbd://${host?.address}/
`;
}

async function main(options: { etcd: boolean; keep: boolean; boot: string | undefined }): Promise<void> {
  // Short, for a unix socket's path may have 107 bytes only.
  const workDir = await mkdtemp(join(tmpdir(), 'copse-cluster-'));
  const lifetime = new Lifetime();
  let interrupted = false;
  let interrupt = (): void => {};
  const interruption = new Promise<void>((resolve) => {
    interrupt = resolve;
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // What waits for a program that is being ended fails, so the example ends by itself.
    process.on(signal, () => {
      if (!interrupted) say(`${signal}: ending what was started`);
      interrupted = true;
      interrupt();
      void lifetime.end();
    });
  }
  try {
    const reader = options.boot === undefined ? await comparingReader(workDir) : await bootingReader(lifetime, workDir, options.boot);
    const hosts = await runCluster(lifetime, { workDir, reader, withEtcd: options.etcd });
    if (options.keep) {
      console.log(describe(hosts, workDir));
      // The hosts' pipes keep the process alive.
      await interruption;
    }
    await lifetime.end();
    await rm(workDir, { recursive: true, force: true });
  } catch (error) {
    await lifetime.end();
    if (interrupted) {
      await rm(workDir, { recursive: true, force: true });
      process.exit(130);
    }
    say(`failed: ${error instanceof Error ? error.message : String(error)}`);
    say(`the logs of the hosts, of nginx and of etcd are in ${workDir}`);
    process.exitCode = 1;
  }
}

const { values } = parseArgs({ options: { etcd: { type: 'boolean' }, keep: { type: 'boolean' }, boot: { type: 'string' } } });
await main({ etcd: values.etcd ?? false, keep: values.keep ?? false, boot: values.boot });
