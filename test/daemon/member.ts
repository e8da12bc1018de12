/**
 * Whole nodes in this process that are members of one cluster, each with an address of its own on
 * the loopback.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Test } from 'tap';
import type { Config } from '../../src/config/schema.js';
import { ownHost } from '../fault/own-host.js';
import { until } from '../support/wait.js';
import { Node } from './node.js';

/** All of them were free a moment ago. */
export async function addressesOf(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, ownHost));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const addresses = servers.map((server) => `${ownHost}:${(server.address() as AddressInfo).port}`);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}

export async function startMember(
  t: Test,
  id: string,
  address: string,
  members: readonly string[],
  overrides: Partial<Config> = {},
): Promise<Node> {
  const [host = '', port = ''] = address.split(':');
  return Node.start(t, {
    node: { id, address, listen: { kind: 'tcp', host, port: Number(port) } },
    cluster: {
      name: 'test',
      autoRttUs: 500,
      maxMembers: 64,
      members: members.filter((other) => other !== address),
      donatedBytes: 2 ** 30,
      peers: 'strong',
    },
    ...overrides,
  });
}

/** Each of the nodes sees all of the ids. */
export async function allUp(nodes: readonly Node[], ids: readonly string[]): Promise<void> {
  for (const node of nodes) {
    await until('all members are up', async () => {
      const { members } = await node.admin.cluster.status();
      return ids.every((id) => members.some((member) => member.id === id && ['self', 'up'].includes(member.state)));
    });
  }
}
