/** Whole nodes of one cluster in this process, on addresses that are free. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Test } from 'tap';
import type { ConfiguredImage } from '../../src/config/schema.js';
import { ownHost } from '../fault/own-host.js';
import { Node } from './node.js';

/** All of them were free a moment ago, and none is there twice. */
export function addressesOf(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, ownHost));
  return Promise.all(
    servers.map(async (server) => {
      await once(server, 'listening');
      const address = server.address();
      return `${ownHost}:${typeof address === 'object' ? address?.port : 0}`;
    }),
  ).finally(() => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))));
}

export function startNode(t: Test, addresses: readonly string[], index: number, images: ConfiguredImage[]): Promise<Node> {
  const address = addresses[index] ?? '';
  const [host = '', port = ''] = address.split(':');
  return Node.start(t, {
    node: { id: `n${index}`, address, listen: { kind: 'tcp', host, port: Number(port) } },
    cluster: {
      name: 'test',
      autoRttUs: 500,
      maxMembers: 64,
      members: addresses.filter((other) => other !== address),
      donatedBytes: 2 ** 30,
      peers: 'strong',
    },
    images,
  });
}
