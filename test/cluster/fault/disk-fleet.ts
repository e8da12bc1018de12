/** Nodes with disks: real daemons in one cluster, QEMU's block layer as their clients, and a look at what each has on its own disk. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Test } from 'tap';
import { AdminClient } from '../../../src/admin/client.js';
import { QemuIo } from '../../fault/disk-qemu-io.js';
import type { LabPlace } from '../../lab/place.js';
import { patienceMs, until } from '../../support/wait.js';
import { sumOf } from './metric.js';
import { type ClusterNode, prepareFleet } from './node.js';

export interface DiskFleetOptions {
  at: number | readonly LabPlace[];
  etcd?: string;
}

/** Started, and each sees all others. */
export async function startDiskFleet(t: Test, options: DiskFleetOptions): Promise<ClusterNode[]> {
  const nodes = await prepareFleet(t, { ...options, images: {} });
  await Promise.all(nodes.map((node) => node.start()));
  await allUp(nodes);
  return nodes;
}

export async function allUp(nodes: readonly ClusterNode[]): Promise<void> {
  for (const node of nodes) {
    await until(`${node.id} sees all nodes`, async () => {
      const { members } = await node.cluster();
      return nodes.every(({ id }) => id === node.id || members.some((member) => member.id === id && member.state === 'up'));
    });
  }
}

/** Of a node that runs; it outlives the node's restarts. */
export function controlOf(t: Test, node: ClusterNode): AdminClient {
  const control = new AdminClient({ kind: 'unix', path: join(node.folder, 'admin.sock') });
  t.teardown(() => control.close());
  return control;
}

/** A guest: one process that stays attached. */
export function guestAt(t: Test, node: ClusterNode, disk: string): Promise<QemuIo> {
  return QemuIo.attach(t, { daemon: node }, disk);
}

/** What a new process says that attaches, does that, and leaves. */
export async function visit(node: ClusterNode, disk: string, ...commands: string[]): Promise<string> {
  const options = `driver=nbd,server.type=unix,server.path=${node.socketPath},export=${disk}`;
  const args = ['-d', 'unmap', '--image-opts', options, ...commands.flatMap((command) => ['-c', command])];
  const { all } = await execa('qemu-io', args, { all: true, reject: false, timeout: patienceMs });
  return all;
}

/** Repeats a request that fails by its deadline, as it may on a busy machine. @returns its first other answer */
export function atLast(request: () => Promise<string>): Promise<string> {
  return until('an answer other than an I/O error', async () => {
    const answer = await request();
    return !/Input\/output error/.test(answer) && answer;
  });
}

interface OwnerFile {
  state: string;
  epoch: number;
  to?: { id: string; accepted: boolean };
  nodes: Record<string, { id: string }>;
}

/** What a node's own disk says of whose it is. */
export function ownerFile(node: ClusterNode, uuid: string): OwnerFile | undefined {
  const path = join(node.state, 'disk', uuid, 'owner.json');
  try {
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  } catch {
    return undefined;
  }
}

/** Looks all the time whether two nodes believe that they own a disk; the returned function tells what was seen, and ends it. */
export function watchOwners(nodes: readonly ClusterNode[], uuid: string): () => string[] {
  const seen = new Set<string>();
  const owners = (): string[] => {
    return nodes.flatMap((node) => {
      const file = ownerFile(node, uuid);
      return file?.state === 'owner' ? [`${node.id}@${file.epoch}`] : [];
    });
  };
  const look = (): void => {
    const first = owners();
    if (first.length < 2) return;
    // Files are read one after the other, and the disk may have moved in between. Who owned it under an epoch before all were read, and afterwards, owned it all the while.
    const second = owners();
    const both = first.filter((owner) => second.includes(owner));
    if (both.length > 1) seen.add(both.join(' '));
  };
  const timer = setInterval(look, 2);
  return () => {
    clearInterval(timer);
    look();
    return [...seen];
  };
}

/** Bytes of blocks that a node has given to others. */
export async function givenBytes(node: ClusterNode): Promise<number> {
  return sumOf(await node.metrics(), 'copse_peer_served_bytes_total', { role: 'blocks' });
}
