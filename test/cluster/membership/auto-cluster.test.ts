/** Nodes that choose their cluster: beside a real etcd, with distances that the test decides. */
import { createServer } from 'node:net';
import { join as joinPath } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '../../../src/base/clock.js';
import { silentLogger } from '../../../src/base/log.js';
import { type AutoCluster, joinAutoCluster } from '../../../src/cluster/membership/auto-cluster.js';
import { NodeIdentity } from '../../../src/cluster/membership/node-identity.js';
import { tcpRttUs } from '../../../src/cluster/membership/tcp-rtt.js';
import { ownHost } from '../../fault/own-host.js';
import { EtcdServer } from '../etcd-server.js';
import { createNode, record, seedIds, type TestNode } from './node.js';

interface Start {
  id: string;
  /** Two nodes of one rack are near each other. */
  rack?: string;
  maxMembers?: number;
  /** How long etcd is waited for: no longer than a moment where it is dead. */
  loadMs?: number;
  measure?: (address: string) => Promise<number>;
}

/** A node as the daemon starts it, with the state directory of its id. */
async function start(
  t: Test,
  url: string,
  { id, rack = 'r', maxMembers = 64, loadMs = 60_000, measure }: Start,
): Promise<TestNode & { chosen: AutoCluster; measuredCount: number }> {
  const node = createNode(t, url, id);
  const identity = new NodeIdentity(joinPath(t.testdirName, `${id}.identity.json`), silentLogger);
  let measuredCount = 0;
  await node.membership.load(loadMs);
  const chosen = await joinAutoCluster({
    nodes: node.membership,
    identity,
    client: node.client,
    prefix: '/copse',
    nodeId: id,
    thresholdUs: 500,
    maxMembers,
    measure: async (address) => {
      measuredCount += 1;
      return measure === undefined ? (address.startsWith(rack) ? 100 : 5000) : measure(address);
    },
    clock: systemClock,
    log: silentLogger,
    join: (cluster) => node.membership.join(record(id, { cluster, address: `${rack}-${id}:1` })),
  });
  return { ...node, chosen, measuredCount };
}

t.test('neighbours that start together found one cluster, each rack its own', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
  const nodes = await Promise.all(ids.map((id, index) => start(t, server.url, { id, rack: index % 2 === 0 ? 'r' : 's' })));
  const names = nodes.map(({ chosen }) => chosen.name);
  t.equal(new Set(names.filter((_, index) => index % 2 === 0)).size, 1, names.join());
  t.equal(new Set(names.filter((_, index) => index % 2 === 1)).size, 1, names.join());
  t.equal(new Set(names).size, 2);
  t.notOk(nodes.some(({ chosen }) => chosen.provisional));
});

t.test('a choice is kept over restarts, also without etcd, and where another cluster would be nearer', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await start(t, server.url, { id: 'a' });
  const b = await start(t, server.url, { id: 'b', maxMembers: 1 });
  t.not(b.chosen.name, a.chosen.name, 'that one was full');
  await b.membership.close();
  const again = await start(t, server.url, { id: 'b' });
  t.equal(again.chosen.name, b.chosen.name);
  t.equal(again.measuredCount, 0);
  await server.kill();
  const without = await start(t, server.url, { id: 'b', loadMs: 200 });
  t.equal(without.chosen.name, b.chosen.name);
  t.equal(without.chosen.provisional, false);
});

t.test('without etcd the first choice is not remembered', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await start(t, server.url, { id: 'a' });
  await server.kill();
  const b = await start(t, server.url, { id: 'b', loadMs: 200 });
  t.equal(b.chosen.provisional, true);
  t.not(b.chosen.name, a.chosen.name);
  await b.membership.close();
  await server.restart();
  const again = await start(t, server.url, { id: 'b' });
  t.equal(again.chosen.name, a.chosen.name);
  t.same(seedIds(again), ['a']);
});

t.test('a few of each cluster are measured, and who does not answer holds nobody up', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await start(t, server.url, { id: 'a' });
  for (let index = 0; index < 40; index++) {
    const id = `node-${index}`;
    await a.client.putIf(`/copse/nodes/${id}`, 0, JSON.stringify(record(id, { cluster: index < 20 ? 'silent' : 'refusing' })));
  }
  const answers: Record<string, () => Promise<number>> = {
    silent: () => new Promise(() => {}),
    refusing: () => Promise.reject(new Error('refused')),
  };
  const b = await start(t, server.url, {
    id: 'b',
    measure: (address) => {
      const index = Number(/^node-(\d+)\./.exec(address)?.[1] ?? -1);
      return index < 0 ? Promise.resolve(100) : (answers[index < 20 ? 'silent' : 'refusing']?.() ?? Promise.reject(new Error('no answer')));
    },
  });
  t.equal(b.chosen.name, a.chosen.name);
  t.equal(b.measuredCount, 1 + 3 + 3);
});

t.test('another live node with the id ends the start', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await start(t, server.url, { id: 'a' });
  await a.client.putIf('/copse/nodes/b', 0, JSON.stringify(record('b', { token: 'another' })));
  await t.rejects(start(t, server.url, { id: 'b' }), { code: 'ERR_NODE_ID' });
});

t.test('a TCP connection is measured, and nobody listening is an error', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {}));
  // Where nobody else comes to listen when it does no more.
  await new Promise<void>((resolve) => server.listen(0, ownHost, resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  t.ok((await tcpRttUs(`${ownHost}:${port}`, 60_000)) > 0);
  await new Promise((resolve) => server.close(resolve));
  await t.rejects(tcpRttUs(`${ownHost}:${port}`, 60_000), { code: 'ECONNREFUSED' });
});
