/** Nodes that find each other through a real etcd, and keep each other when it is away, stalled or wiped. */
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { ManualClock } from '../../cache/manual-clock.js';
import { until, untilChange } from '../../support/wait.js';
import { EtcdServer } from '../etcd-server.js';
import { createNode, joinNode, record, seedIds } from './node.js';

t.test('nodes of one cluster see each other, those of another do not, all are known', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await joinNode(t, server.url, 'a');
  await until('a is well', () => a.membership.status.well);
  t.same(a.membership.status, { kind: 'etcd', well: true, message: undefined });
  const b = await joinNode(t, server.url, 'b');
  const c = await joinNode(t, server.url, 'c', {}, { cluster: 'far' });
  await untilChange('a sees b', a.membership, () => seedIds(a).length === 1);
  t.same(a.membership.seeds, [{ id: 'b', address: 'b.example:10810' }]);
  await untilChange('b sees a', b.membership, () => seedIds(b).join() === 'a');
  t.same(c.membership.seeds, []);
  await until('a knows all', () => a.membership.allNodes.length === 2);
  t.same(
    a.membership.allNodes.map(({ id, cluster }) => [id, cluster]),
    [
      ['b', 'near'],
      ['c', 'far'],
    ],
  );

  // It moves, drains, and leaves.
  c.membership.announce(record('c', { cluster: 'near' }));
  t.same(seedIds(c), ['a', 'b'], 'its own view changes at once');
  await untilChange('a sees c', a.membership, () => seedIds(a).length === 2);
  b.membership.announce(record('b', { draining: true, donatedBytes: 0 }));
  await until('a hears that b drains', () => a.membership.allNodes.some(({ draining }) => draining));
  t.same(seedIds(a), ['b', 'c']);
  b.membership.announce(record('b', { cluster: 'far' }));
  await untilChange('b is elsewhere', a.membership, () => seedIds(a).length === 1);
  t.same(seedIds(a), ['c']);
  await c.membership.close();
  await untilChange('c left on purpose', a.membership, () => seedIds(a).length === 0);
  t.same(
    a.membership.allNodes.map(({ id }) => id),
    ['b'],
  );
});

t.test('a second node with the same id is refused at its start; the same node is not', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const first = await joinNode(t, server.url, 'a');
  const second = createNode(t, server.url, 'a', { token: 'another' });
  await second.membership.load(60_000);
  await t.rejects(second.membership.join(record('a', { token: 'another' }), 60_000), { code: 'ERR_NODE_ID' });
  await until('the first is well', () => first.membership.status.well);

  // As after kill -9: the record is there, its owner comes again.
  const again = await joinNode(t, server.url, 'a', {}, { version: '0.2.0' });
  await until('it is well', () => again.membership.status.well);
  await again.membership.close();
  await first.membership.close();

  // What left on purpose is in nobody's way.
  const third = await joinNode(t, server.url, 'a', { token: 'another' }, { token: 'another' });
  await until('the third is well', () => third.membership.status.well);
});

t.test('when the id is taken after a wipe, it says so, goes on, and has it back when the other is gone', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await joinNode(t, server.url, 'a');
  const b = await joinNode(t, server.url, 'b');
  const [key, taken] = ['/copse/nodes/a', JSON.stringify(record('a', { token: 'another' }))];
  // Whoever comes first after the wipe has the id: until the impostor does.
  const take = async (): Promise<boolean> => b.client.putIf(key, 0, taken, await b.client.grantLease(1000));
  let tookIt = false;
  while (!tookIt) {
    await server.wipe();
    // The client may not have noticed yet that etcd is back.
    tookIt = await take().catch(() => false);
  }
  await until('a says so', () => /another node at/.test(a.membership.status.message ?? ''));
  t.equal(a.membership.status.well, false);
  const entry = await b.client.get(key);
  t.equal(entry?.value, taken, 'it is left alone');
  await b.client.revokeLease(entry?.leaseId ?? '');
  await until('a is well', () => a.membership.status.well);
  t.match((await b.client.get(key))?.value ?? '', /token of a/);
});

t.test('etcd is killed, stalled, wiped: nobody loses anybody, and news come through afterwards', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  // Leases run out while etcd is stalled, too.
  const a = await joinNode(t, server.url, 'a', { ttlSeconds: 2 });
  const b = await joinNode(t, server.url, 'b', { ttlSeconds: 2 });
  await untilChange('a sees b', a.membership, () => seedIds(a).length === 1);
  const changes: unknown[] = [];
  a.membership.onChange(() => changes.push(a.membership.seeds));

  await server.kill();
  await until('a notices', () => !a.membership.status.well);
  t.match(a.membership.status.message, /last known view/);
  t.same(seedIds(a), ['b']);
  await server.restart();
  await until('both are well', () => a.membership.status.well && b.membership.status.well);

  server.stall();
  await until('a notices', () => !a.membership.status.well);
  server.resume();
  await until('both are well', () => a.membership.status.well && b.membership.status.well);

  await server.wipe();
  await until('both records are back', async () => {
    const look = (id: string) => a.client.get(`/copse/nodes/${id}`).catch(() => undefined);
    const found = [await look('a'), await look('b')];
    return found.every((entry) => entry !== undefined && entry.leaseId !== '0');
  });
  await until('both are well', () => a.membership.status.well && b.membership.status.well);
  t.same(changes, [], 'the seeds have never changed');

  const c = await joinNode(t, server.url, 'c');
  await untilChange('a sees c', a.membership, () => seedIds(a).length === 2);
  t.same(seedIds(c), ['a', 'b']);
  await c.membership.close();
  await untilChange('a sees c leave', a.membership, () => seedIds(a).length === 1);
});

t.test('a lease that ran out is taken anew', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await joinNode(t, server.url, 'a');
  const before = await a.client.get('/copse/nodes/a');
  await a.client.revokeLease(before?.leaseId ?? '');
  await until('another lease', async () => {
    const now = await a.client.get('/copse/nodes/a');
    return now !== undefined && now.leaseId !== before?.leaseId;
  });
});

t.test('a record that vanishes without a word is kept for a while, and then only if its node is live', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const clock = new ManualClock();
  let live = true;
  // Its clock stands still, so nothing of it happens by itself: no renewal, no check.
  const a = createNode(t, server.url, 'a', { clock, graceMs: 60_000, ttlSeconds: 1000 });
  a.membership.keepWhile((id) => id === 'b' && live);
  void a.membership.load(0);
  await a.membership.join(record('a'), 0);
  const b = await joinNode(t, server.url, 'b', { ttlSeconds: 1000 });
  await untilChange('a sees b', a.membership, () => seedIds(a).length === 1);
  const entry = await b.client.get('/copse/nodes/b');
  // b comes back at once: each time its record vanishes for a moment only.
  await b.membership.close();
  await untilChange('b left', a.membership, () => seedIds(a).length === 0);

  const ghost = JSON.stringify(record('b'));
  const lease = await a.client.grantLease(1000);
  t.ok(entry !== undefined);
  await a.client.putIf('/copse/nodes/b', (await a.client.get('/copse/nodes/b'))?.modRevision ?? 0, ghost, lease);
  await untilChange('a sees b', a.membership, () => seedIds(a).length === 1);
  await a.client.revokeLease(lease);
  // The next change comes through the same watch, after the disappearance.
  await a.client.putIf('/copse/nodes/c', 0, JSON.stringify(record('c')));
  await untilChange('a sees c', a.membership, () => seedIds(a).includes('c'));
  clock.advance(59_999);
  t.same(seedIds(a), ['b', 'c']);
  clock.advance(1);
  t.same(seedIds(a), ['b', 'c'], 'it answers');
  live = false;
  clock.advance(60_000);
  t.same(seedIds(a), ['c']);
});

t.test('a start without etcd begins with the last known view', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = await joinNode(t, server.url, 'a');
  await joinNode(t, server.url, 'b');
  await joinNode(t, server.url, 'c', {}, { cluster: 'far' });
  await until('a knows both', () => a.membership.allNodes.length === 2);
  await until('and has written it', () => readFileSync(a.viewPath, 'utf8').includes('"far"'));
  await server.kill();
  await a.membership.close();

  const { viewPath } = a;
  const again = createNode(t, server.url, 'a', { viewPath });
  t.equal(await again.membership.load(20), false);
  await again.membership.join(record('a'), 20);
  t.same(seedIds(again), ['b']);
  t.equal(again.membership.status.well, false);
  t.equal(again.membership.allNodes.length, 2);
  await server.restart();
  await until('well', () => again.membership.status.well);
  t.same(seedIds(again), ['b']);

  writeFileSync(viewPath, '{"version": 1, "nodes": [{');
  const broken = createNode(t, await EtcdServer.deadUrl(), 'a', { viewPath });
  t.same(broken.membership.allNodes, []);
});

t.test('a record that can not be read is passed over', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const a = createNode(t, server.url, 'a');
  for (const [id, value] of [
    ['torn', '{"id":'],
    ['empty', '{}'],
    ['liar', JSON.stringify(record('b'))],
    ['port', JSON.stringify({ ...record('port'), donatedBytes: -1 })],
    ['a', 'not even of this node'],
    ['fine', JSON.stringify({ ...record('fine'), colour: 'green' })],
  ] as const) {
    await a.client.putIf(`/copse/nodes/${id}`, 0, value);
  }
  await a.membership.load(60_000);
  await a.membership.join(record('a'), 60_000);
  t.same(seedIds(a), ['fine']);
  await until('a is well', () => a.membership.status.well);
});
