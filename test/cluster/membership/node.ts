/** Records and memberships of nodes for the tests of this room. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { EtcdClient } from '../../../src/base/etcd/client.js';
import { silentLogger } from '../../../src/base/log.js';
import { EtcdMembership, type EtcdMembershipOptions } from '../../../src/cluster/membership/etcd-membership.js';
import type { NodeRecord } from '../../../src/cluster/node.js';

export function record(id: string, changes: Partial<NodeRecord> = {}): NodeRecord {
  return {
    protocol: { least: 1, greatest: 1 },
    version: '0.2.0',
    id,
    token: `token of ${id}`,
    cluster: 'near',
    address: `${id}.example:10810`,
    donatedBytes: 1000,
    draining: false,
    ...changes,
  };
}

export interface TestNode {
  membership: EtcdMembership;
  client: EtcdClient;
  viewPath: string;
}

/** A node that is not loaded and has not joined yet; closed with the test. */
export function createNode(t: Test, url: string, id: string, options: Partial<EtcdMembershipOptions> = {}): TestNode {
  const client = new EtcdClient({ urls: [url], callTimeoutMs: 5000 });
  const viewPath = options.viewPath ?? join(t.testdirName, `${id}.json`);
  const membership = new EtcdMembership({
    client,
    prefix: '/copse',
    id,
    token: `token of ${id}`,
    viewPath,
    log: silentLogger,
    // No record is to vanish because this process, or etcd, is held up.
    ttlSeconds: 60,
    checkMs: 200,
    ...options,
  });
  t.teardown(async () => {
    await membership.close();
    client.close();
  });
  return { membership, client, viewPath };
}

/** A node that is registered. */
export async function joinNode(
  t: Test,
  url: string,
  id: string,
  options: Partial<EtcdMembershipOptions> = {},
  changes: Partial<NodeRecord> = {},
): Promise<TestNode> {
  const node = createNode(t, url, id, options);
  await node.membership.load(60_000);
  await node.membership.join(record(id, changes), 60_000);
  return node;
}

/** The ids of the seeds. */
export function seedIds({ membership }: TestNode): (string | undefined)[] {
  return membership.seeds.map(({ id }) => id);
}
