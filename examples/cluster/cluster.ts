/** The cluster's three hosts and what comes to pass: who finds whom how, who reads, and what the origin had to send for it. */
import { join } from 'node:path';
import type { Lifetime } from '../demo/lifetime.js';
import { type Origin, startOrigin } from '../demo/origin.js';
import { startEtcd } from './etcd.js';
import { type Host, startHost, waitForNeighbours } from './host.js';
import { freePorts } from './port.js';
import type { Reader } from './reader.js';
import { mib, type Phase, report, sumBytes } from './report.js';

const latencyMs = 20;
export const image = 'image';

export interface ClusterOptions {
  workDir: string;
  reader: Reader;
  /** Whether the hosts find each other, and the image, through etcd. */
  withEtcd: boolean;
}

const say = (text: string): void => console.log(`cluster: ${text}`);

/** Runs a command for a host, and shows both. */
async function show(host: Host, ...args: string[]): Promise<void> {
  console.log(`\n$ copse ${args.join(' ')}    # on ${host.id}\n${(await host.copse(...args)).trimEnd()}\n`);
}

/** Resolves to the hosts, which are still running. */
export async function runCluster(lifetime: Lifetime, options: ClusterOptions): Promise<Host[]> {
  const { workDir, reader, withEtcd } = options;
  const origin = await startOrigin(lifetime, { workDir, rootDir: reader.rootDir, latencyMs });
  const url = origin.url(reader.fileName);
  say(`image: ${reader.title}; origin: nginx at ${url}, ${latencyMs} ms a request`);
  const start = withEtcd ? await etcdStarter(lifetime, workDir) : await staticStarter(lifetime, workDir, url);

  say('starting host-a, host-b and host-c');
  const hosts = await Promise.all([start('host-a'), start('host-b'), start('host-c')]);
  const [first] = hosts;
  if (first === undefined) throw new Error('no host');
  if (withEtcd) {
    const [digest = ''] =
      (await first.copse('image', 'seal', join(reader.rootDir, reader.fileName), '--output', join(workDir, 'manifest'))).match(
        /blake3:\w+/,
      ) ?? [];
    say(`sealed the image: ${digest}`);
    await show(first, 'image', 'add', image, url, '--manifest', join(workDir, 'manifest'), '--digest', digest);
  }
  await waitForNeighbours(hosts, image, 3);
  await show(first, 'cluster', 'status');

  const phases: Phase[] = [];
  const phase = async (title: string, readers: readonly Host[]): Promise<void> => {
    say(`${title}: ${reader.what}`);
    const before = await origin.traffic();
    const readings = await Promise.all(readers.map((host) => reader.read(host, image)));
    const after = await origin.traffic();
    phases.push({ title, readings, originBytes: after.bytes - before.bytes });
  };
  await phase('three hosts at once', hosts);
  await show(first, 'image', 'status', image, '--cluster');

  const fourth = await startLast(start, origin, withEtcd);
  await waitForNeighbours([fourth], image, 4);
  await phase('host-d, without the origin', [fourth]);
  await show(fourth, 'explain', image);

  console.log(report(phases));
  const [{ readings, originBytes } = { readings: [], originBytes: 0 }] = phases;
  say(`for ${mib(sumBytes(readings))} that three hosts read the origin sent ${mib(originBytes)}, for the fourth host nothing`);
  return [...hosts, fourth];
}

type Start = (id: string) => Promise<Host>;

/** Every host is told the others' addresses, and the image. The fourth one knows the three, and they don't know it. */
async function staticStarter(lifetime: Lifetime, workDir: string, url: string): Promise<Start> {
  const ports = await freePorts(4);
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const peers = addresses.slice(0, 3).flatMap((address) => ['--peer', address]);
  return (id) => startHost(lifetime, { id, workDir, address: addresses.shift() ?? '', args: [...peers, '--image', `${image}=${url}`] });
}

/** Every host is told where etcd is. */
async function etcdStarter(lifetime: Lifetime, workDir: string): Promise<Start> {
  const url = await startEtcd(lifetime, workDir);
  say(`etcd at ${url}`);
  const ports = await freePorts(4);
  return (id) => startHost(lifetime, { id, workDir, address: `127.0.0.1:${ports.shift()}`, args: ['--etcd', url] });
}

/** A host whose catalog is in etcd knows the image when it starts; one that has to be told asks the origin once what it is. */
async function startLast(start: Start, origin: Origin, withEtcd: boolean): Promise<Host> {
  if (withEtcd) await origin.stop();
  const host = await start('host-d');
  if (!withEtcd) await origin.stop();
  say(withEtcd ? 'stopped the origin; host-d starts, with an empty cache' : 'host-d has started, with an empty cache; stopped the origin');
  return host;
}
