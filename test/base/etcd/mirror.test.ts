/** A view of a real etcd: followed, kept while it is away, right again after each way in which a watch can be lost. */
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { EtcdClient } from '../../../src/base/etcd/client.js';
import { EtcdMirror } from '../../../src/base/etcd/mirror.js';
import { silentLogger } from '../../../src/base/log.js';
import { Secret } from '../../../src/base/secret.js';
import { EtcdServer } from '../../cluster/etcd-server.js';
import { untilChange } from '../../support/wait.js';

async function setUp(t: Test): Promise<{ server: EtcdServer; client: EtcdClient; mirror: EtcdMirror; view(): Record<string, string> }> {
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  const client = new EtcdClient({ urls: [server.url], callTimeoutMs: 60_000 });
  t.teardown(() => client.close());
  // The mirror tries again when a call takes too long; the test's own calls are made once.
  const hasty = new EtcdClient({ urls: [server.url], callTimeoutMs: 1000 });
  t.teardown(() => hasty.close());
  const mirror = new EtcdMirror({ client: hasty, prefix: '/test/', log: silentLogger, checkMs: 100 });
  t.teardown(() => mirror.close());
  const view = (): Record<string, string> => Object.fromEntries([...mirror.entries].map(([key, { value }]) => [key, value]));
  return { server, client, mirror, view };
}

async function put(client: EtcdClient, key: string, value: string): Promise<void> {
  while (!(await client.putIf(key, (await client.get(key))?.modRevision ?? 0, value)));
}

t.test('what is there is loaded, what changes follows, other prefixes do not', async (t) => {
  const { client, mirror, view } = await setUp(t);
  await put(client, '/test/a', '1');
  await put(client, '/tests', 'no');
  t.equal(mirror.isLoaded, false);
  mirror.start();
  t.equal(await mirror.loaded(60_000), true);
  t.same(view(), { a: '1' });
  await put(client, '/test/b/c', '2');
  await untilChange('b/c', mirror, () => mirror.entries.has('b/c'));
  await put(client, '/test/a', '3');
  await untilChange('a', mirror, () => view()['a'] === '3');
  const entry = mirror.entries.get('b/c');
  t.equal(await client.deleteIf('/test/b/c', 1), false, 'not as it was');
  t.equal(await client.deleteIf('/test/b/c', entry?.modRevision ?? 0), true);
  await untilChange('deletion', mirror, () => mirror.entries.size === 1);
  t.same(view(), { a: '3' });
  t.equal(mirror.failure, undefined);
});

t.test('it keeps its view while etcd is dead, stalled, and follows again afterwards', async (t) => {
  const { server, client, mirror, view } = await setUp(t);
  await put(client, '/test/a', '1');
  mirror.start();
  await mirror.loaded(60_000);
  await server.kill();
  await untilChange('noticing the death', mirror, () => mirror.failure !== undefined);
  t.same(view(), { a: '1' });
  await t.rejects(mirror.refresh(), { code: 'ERR_ETCD_UNAVAILABLE' });
  await server.restart();
  await put(client, '/test/a', '2');
  await untilChange('the change after the restart', mirror, () => view()['a'] === '2');
  await untilChange('well', mirror, () => mirror.failure === undefined);

  server.stall();
  await untilChange('noticing the stall', mirror, () => mirror.failure !== undefined);
  t.same(view(), { a: '2' });
  server.resume();
  await untilChange('well', mirror, () => mirror.failure === undefined);
  await put(client, '/test/a', '3');
  await untilChange('the change after the stall', mirror, () => view()['a'] === '3');
});

t.test('a store that begins anew, with lower revisions, is seen as it is', async (t) => {
  const { server, client, mirror, view } = await setUp(t);
  for (let count = 0; count < 20; count++) await put(client, '/test/a', String(count));
  mirror.start();
  await mirror.loaded(60_000);
  await server.wipe();
  await untilChange('emptiness', mirror, () => mirror.entries.size === 0);
  await put(client, '/test/b', 'new');
  await untilChange('the new key', mirror, () => view()['b'] === 'new');
  await untilChange('well', mirror, () => mirror.failure === undefined);
});

t.test('without etcd nothing waits for it', async (t) => {
  const client = new EtcdClient({ urls: [await EtcdServer.deadUrl()], callTimeoutMs: 1000 });
  const mirror = new EtcdMirror({ client, prefix: '/test/', log: silentLogger });
  mirror.start();
  t.equal(await mirror.loaded(50), false);
  t.equal(mirror.isLoaded, false);
  mirror.close();
  client.close();
});

t.test('user and password: the right ones, wrong ones, none', async (t) => {
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  for (const command of ['user add root:secret', 'user grant-role root root', 'auth enable']) {
    const patient = ['--dial-timeout=60s', '--command-timeout=60s'];
    await execa('etcdctl', ['--endpoints', server.url, ...patient, ...command.split(' ')], { env: { ETCDCTL_API: '3' } });
  }
  const client = new EtcdClient({ urls: [server.url], user: 'root', password: new Secret('secret'), callTimeoutMs: 60_000 });
  t.teardown(() => client.close());
  const mirror = new EtcdMirror({ client, prefix: '/test/', log: silentLogger, checkMs: 100 });
  t.teardown(() => mirror.close());
  mirror.start();
  t.equal(await mirror.loaded(60_000), true);
  t.equal(await client.putIf('/test/a', 0, '1', await client.grantLease(100)), true);
  await untilChange('the watch has it', mirror, () => mirror.entries.has('a'));
  for (const options of [{ user: 'root', password: new Secret('wrong') }, { user: 'nobody', password: new Secret('secret') }, {}]) {
    const refused = new EtcdClient({ urls: [server.url], callTimeoutMs: 60_000, ...options });
    await t.rejects(refused.get('/test/a'), { code: 'ERR_ETCD_REFUSED' });
    refused.close();
  }
});

t.test('endpoints that can not be used are refused before they are', async (t) => {
  for (const urls of [[], ['127.0.0.1:2379'], ['http://h:1/x'], ['http://h:1', 'https://h:2'], ['ftp://h:1']]) {
    t.throws(() => new EtcdClient({ urls }), { code: 'ERR_OPTION' });
  }
  t.throws(() => new EtcdClient({ urls: ['https://h:1'], caFile: '/nonexistent' }), { code: 'ERR_OPTION' });
});
