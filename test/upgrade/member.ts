/** Daemons of one static cluster on the loopback, each of a version of its own. */
import type { DiskStatus } from '../../src/admin/schema-disk.js';
import type { Daemon, DaemonOptions } from '../fault/daemon.js';
import { until } from '../support/wait.js';

/** Options of the member `ids[index]`. */
export function memberOptions(ids: readonly string[], addresses: readonly string[], index: number, main?: string): DaemonOptions {
  const flags = ['--node', ids[index] ?? '', '--address', addresses[index] ?? '', '--cluster', 'upgrade'];
  for (const address of addresses) if (address !== addresses[index]) flags.push('--peer', address);
  return { images: {}, tcp: true, flags, ...(main === undefined ? {} : { main }) };
}

export async function seesAll(daemon: Daemon, count: number): Promise<void> {
  await until('all nodes are up', async () => {
    const { members } = JSON.parse((await daemon.api('GET', '/v1/cluster')).body) as { members: { state: string }[] };
    return members.filter(({ state }) => state === 'up' || state === 'self').length === count;
  });
}

export async function diskStatus(daemon: Daemon, name: string): Promise<DiskStatus> {
  return JSON.parse((await daemon.api('GET', `/v1/disks/${name}`)).body) as DiskStatus;
}

/** Waits until the daemon owns the disk and has all blocks of it. */
export async function hasWhole(daemon: Daemon, name: string): Promise<void> {
  await until(`${name} is whole`, async () => {
    const { place, toCome } = await diskStatus(daemon, name);
    return place === 'owner' && toCome.length === 0;
  });
}
