/** An etcd of three members: its leader dies, members stall, the quorum goes and comes. Nodes see each other through all of it. */
import t from 'tap';
import { EtcdClient } from '../../../src/base/etcd/client.js';
import { silentLogger } from '../../../src/base/log.js';
import { EtcdMembership } from '../../../src/cluster/membership/etcd-membership.js';
import { until, untilChange } from '../../support/wait.js';
import { EtcdServer } from '../etcd-server.js';
import { record } from './node.js';

t.test('nodes see each other over a change of leaders, without a quorum, and with it again', async (t) => {
  t.testdir();
  const servers = await EtcdServer.startCluster(3);
  t.teardown(() => Promise.all(servers.map((server) => server.stop())));
  const urls = servers.map(({ url }) => url);
  const start = async (id: string): Promise<EtcdMembership> => {
    const client = new EtcdClient({ urls, callTimeoutMs: 1000 });
    const options = {
      client,
      prefix: '/copse',
      id,
      token: id,
      viewPath: `${t.testdirName}/${id}.json`,
      log: silentLogger,
      ttlSeconds: 60,
      checkMs: 200,
    };
    const membership = new EtcdMembership(options);
    t.teardown(async () => {
      await membership.close();
      client.close();
    });
    await membership.load(60_000);
    await membership.join(record(id, { token: id }), 60_000);
    return membership;
  };
  const ids = ({ seeds }: EtcdMembership): string => seeds.map(({ id }) => id).join();
  const a = await start('a');
  const b = await start('b');
  await untilChange('a sees b', a, () => ids(a) === 'b');

  let leader: EtcdServer | undefined;
  await until('one leads', async () => {
    const led = await Promise.all(servers.map((server) => server.leads().catch(() => false)));
    leader = led.filter(Boolean).length === 1 ? servers[led.indexOf(true)] : undefined;
    return leader !== undefined;
  });
  const followers = servers.filter((server) => server !== leader);
  if (leader === undefined) throw new Error('nobody leads');
  const unseen: string[] = [];
  a.onChange(() => {
    if (!ids(a).startsWith('b')) unseen.push(ids(a));
  });
  await leader.kill();
  const c = await start('c');
  await untilChange('a sees c through another leader', a, () => ids(a) === 'b,c');
  await untilChange('c sees both', c, () => ids(c) === 'a,b');

  // One of three answers, and no quorum does.
  followers[0]?.stall();
  await until('a notices', () => !a.status.well);
  t.equal(ids(a), 'b,c');
  followers[0]?.resume();
  await until('all are well', () => a.status.well && b.status.well && c.status.well);
  t.same(unseen, [], 'b was there all the time');

  // It stalls as the kernel has it, connections and all, and the others go on.
  await leader.restart();
  followers[0]?.stall();
  const d = await start('d');
  await untilChange('a sees d', a, () => ids(a) === 'b,c,d');
  await untilChange('d sees all', d, () => ids(d) === 'a,b,c');
  followers[0]?.resume();
});

t.test('a node stops in time while etcd is stalled', async (t) => {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const client = new EtcdClient({ urls: [server.url] });
  const membership = new EtcdMembership({
    client,
    prefix: '/copse',
    id: 'a',
    token: 'a',
    viewPath: `${t.testdirName}/a.json`,
    log: silentLogger,
  });
  await membership.load(60_000);
  await membership.join(record('a', { token: 'a' }), 60_000);
  server.stall();
  await membership.close();
  client.close();
  await t.rejects(client.get('x'), 'a closed client asks nobody');
});
