/** An etcd of one member, with a directory of its own: enough to try things out. Real clusters have three members or five. */
import { join } from 'node:path';
import { type Lifetime, startProgram, waitForListener } from '../demo/lifetime.js';
import { freePorts } from './port.js';

const startTimeoutMs = 30_000;

/** Resolves to its URL when it answers. */
export async function startEtcd(lifetime: Lifetime, workDir: string): Promise<string> {
  const [port = 0, peerPort = 0] = await freePorts(2);
  const url = `http://127.0.0.1:${port}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const args = ['--name', 'etcd', '--data-dir', join(workDir, 'etcd')];
  args.push('--listen-client-urls', url, '--advertise-client-urls', url);
  args.push('--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl, '--initial-cluster', `etcd=${peerUrl}`);
  const etcd = startProgram(lifetime, 'etcd', args, join(workDir, 'etcd.log'));
  await waitForListener({ host: '127.0.0.1', port }, etcd, startTimeoutMs);
  return url;
}
