/** One catalog on several nodes, through a real etcd: what reaches whom, who wins, and what is left without etcd. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { EtcdClient } from '../../src/base/etcd/client.js';
import { silentLogger } from '../../src/base/log.js';
import { EtcdCatalog } from '../../src/catalog/etcd-catalog.js';
import { ImageCatalog } from '../../src/catalog/image-catalog.js';
import type { ImageRecord } from '../../src/catalog/image-record.js';
import { EtcdServer } from '../cluster/etcd-server.js';
import { until } from '../support/wait.js';
import { record } from './record.js';

interface Host {
  catalog: EtcdCatalog;
  client: EtcdClient;
  /** What the listener heard: `name etag`, or `name -`. */
  heard: string[];
  names(): string[];
  stop(): void;
}

/** A node whose files are in the folder of its name; started again, it finds them. */
async function startHost(t: Test, url: string, name: string, startTimeoutMs = 60_000): Promise<Host> {
  const dir = join(t.testdirName, name);
  mkdirSync(dir, { recursive: true });
  const client = new EtcdClient({ urls: [url], callTimeoutMs: 10_000 });
  const local = new ImageCatalog(dir, silentLogger);
  const catalog = new EtcdCatalog({ client, prefix: '/copse', local, log: silentLogger, checkMs: 200 });
  const heard: string[] = [];
  catalog.onChange((image, now) => heard.push(`${image} ${now === undefined ? '-' : etagOf(now)}`));
  const stop = (): void => {
    catalog.close();
    client.close();
  };
  t.teardown(stop);
  await catalog.start(startTimeoutMs);
  return { catalog, client, heard, stop, names: () => catalog.list().map((image) => image.name) };
}

function etagOf({ content }: ImageRecord): string {
  return content.identity.kind === 'http' ? (content.identity.etag ?? '') : '';
}

function etagAt({ catalog }: Host, name: string): string | undefined {
  const found = catalog.get(name);
  return found && etagOf(found);
}

async function startEtcd(t: Test): Promise<EtcdServer> {
  t.testdir();
  const server = await EtcdServer.start();
  t.teardown(() => server.stop());
  return server;
}

t.test('what one node adds, repins and removes reaches all, and those that start later', async (t) => {
  const server = await startEtcd(t);
  const [a, b] = [await startHost(t, server.url, 'a'), await startHost(t, server.url, 'b')];
  const added = await a.catalog.put(record('os/debian'));
  t.equal(added.generation, 1);
  t.same(a.names(), ['os/debian']);
  await until('b has it', () => b.names().length === 1);
  t.same(b.catalog.get('os/debian'), { ...record('os/debian'), generation: 1 });

  await b.catalog.put(record('os/debian', '"y"'));
  await until('a has the other', () => etagAt(a, 'os/debian') === '"y"');
  await a.catalog.put(record('other'));
  await a.catalog.remove('os/debian');
  t.same(a.names(), ['other']);
  await until('b has lost it', () => b.names().join() === 'other');
  t.equal(b.heard.filter((word) => word.startsWith('os/')).at(-1), 'os/debian -');

  const c = await startHost(t, server.url, 'c');
  t.same(c.names(), ['other']);
  await c.catalog.put(record('os/debian', '"z"'));
  await until('a has it again', () => etagAt(a, 'os/debian') === '"z"');
  await c.catalog.remove('never there');
});

t.test('two nodes put one name at once: one content wins, equal contents are one', async (t) => {
  const server = await startEtcd(t);
  const [a, b] = [await startHost(t, server.url, 'a'), await startHost(t, server.url, 'b')];
  const settled = await Promise.allSettled([a.catalog.put(record('x', '"a"')), b.catalog.put(record('x', '"b"'))]);
  const lost = settled.filter((result) => result.status === 'rejected');
  t.equal(lost.length, 1);
  t.match(lost[0]?.reason, { code: 'ERR_IMAGE_EXISTS' });
  await until('both have the same', () => etagAt(a, 'x') !== undefined && etagAt(a, 'x') === etagAt(b, 'x'));

  const equal = [record('y'), record('y', '"x"', { pinnedAt: '2026-12-01T00:00:00.000Z' })] as const;
  const both = await Promise.all([a.catalog.put(equal[0]), b.catalog.put(equal[1])]);
  t.same(both[0], both[1]);
  await until('both repinned', () => a.catalog.get('y') !== undefined && b.catalog.get('y') !== undefined);

  const repins = await Promise.allSettled([a.catalog.put(record('y', '"p"')), b.catalog.put(record('y', '"q"'))]);
  for (const result of repins) if (result.status === 'rejected') t.match(result.reason, { code: 'ERR_IMAGE_CONFLICT' });
  await until('both have the same', () => etagAt(a, 'y') === etagAt(b, 'y') && etagAt(a, 'y') !== '"x"');
});

t.test('while etcd is away images stay, also over a restart, and nothing can be changed', async (t) => {
  const server = await startEtcd(t);
  const a = await startHost(t, server.url, 'a');
  await a.catalog.put(record('x'));
  await server.kill();
  await t.rejects(a.catalog.put(record('y')), { code: 'ERR_ETCD_UNAVAILABLE' });
  await t.rejects(a.catalog.put(record('x', '"y"')), { code: 'ERR_ETCD_UNAVAILABLE' });
  await t.rejects(a.catalog.remove('x'), { code: 'ERR_ETCD_UNAVAILABLE' });
  t.same(a.names(), ['x']);
  t.equal(etagAt(a, 'x'), '"x"');
  a.stop();

  const again = await startHost(t, server.url, 'a', 20);
  t.same(again.names(), ['x']);
  t.type(again.catalog.failure, 'string');
  await server.restart();
  await until('well', () => again.catalog.failure === undefined);
  t.same(again.heard, []);
  await again.catalog.put(record('y'));
  t.same(again.names(), ['x', 'y']);
});

t.test('a wiped etcd takes no image away: it gets them back, the latest of each', async (t) => {
  const server = await startEtcd(t);
  const [a, b] = [await startHost(t, server.url, 'a'), await startHost(t, server.url, 'b')];
  await a.catalog.put(record('x'));
  await a.catalog.put(record('gone'));
  await a.catalog.remove('gone');
  await until('b has x', () => b.names().join() === 'x');
  // b misses the repin, and is there first after the wipe.
  b.stop();
  await a.catalog.put(record('x', '"y"'));
  a.stop();
  await server.wipe();
  const late = await startHost(t, server.url, 'b');
  await until('b puts its own', async () => (await late.client.get('/copse/images/x')) !== undefined);
  const again = await startHost(t, server.url, 'a');
  await until('the later one prevails', () => etagAt(late, 'x') === '"y"' && etagAt(again, 'x') === '"y"');
  await server.wipe();
  await until('it is back again', async () => (await late.client.get('/copse/images/x').catch(() => undefined)) !== undefined);
  t.same(again.names(), ['x']);
  t.same(late.names(), ['x']);
  t.same(again.heard, []);
});

t.test('what is removed while a node is down is removed there, too', async (t) => {
  const server = await startEtcd(t);
  const [a, b] = [await startHost(t, server.url, 'a'), await startHost(t, server.url, 'b')];
  await a.catalog.put(record('x'));
  await until('b has it', () => b.names().length === 1);
  b.stop();
  await a.catalog.remove('x');
  const again = await startHost(t, server.url, 'b');
  t.same(again.names(), []);
});

t.test('images of a host that had no etcd are shared; where a name is taken, the shared one is served', async (t) => {
  const server = await startEtcd(t);
  t.testdir({ b: {} });
  const files = new ImageCatalog(join(t.testdirName, 'b'), silentLogger);
  for (const image of [record('own'), record('taken', '"b"'), record('removed')]) await files.put(image);
  const a = await startHost(t, server.url, 'a');
  await a.catalog.put(record('taken', '"a"'));
  await a.catalog.put(record('removed'));
  await a.catalog.remove('removed');
  const b = await startHost(t, server.url, 'b');
  await until('a has what b had', () => a.names().join() === 'own,removed,taken');
  t.equal(etagAt(b, 'taken'), '"a"');
  await until('b knows that it is shared', () => b.catalog.get('removed')?.generation === 3);
});

t.test('a record that can not be read is passed over, and left alone', async (t) => {
  const server = await startEtcd(t);
  const a = await startHost(t, server.url, 'a');
  await a.catalog.put(record('x'));
  const entry = await a.client.get('/copse/images/x');
  await a.client.putIf('/copse/images/x', entry?.modRevision ?? 0, '{"version": 2}');
  await a.client.putIf('/copse/images/../x', 0, JSON.stringify(record('../x')));
  await a.client.putIf('/copse/images/y', 0, JSON.stringify(record('z')));
  await a.client.putIf('/copse/images/fine', 0, JSON.stringify(record('fine')));
  await until('the last one came', () => a.names().includes('fine'));
  t.same(a.names(), ['fine', 'x']);
  t.equal((await a.client.get('/copse/images/x'))?.value, '{"version": 2}');
  await t.rejects(a.catalog.put(record('x', '"y"')), { code: 'ERR_IMAGE_RECORD' });
});
