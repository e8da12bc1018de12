/** Two nodes over one etcd: what one adds, repins and removes, the other serves, serves anew, and lets go without taking it from its guests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Budget } from '../../src/base/budget.js';
import { systemClock } from '../../src/base/clock.js';
import { EtcdClient } from '../../src/base/etcd/client.js';
import { silentLogger as log } from '../../src/base/log.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import { EtcdCatalog } from '../../src/catalog/etcd-catalog.js';
import { ExportNames } from '../../src/catalog/export-names.js';
import { ImageCatalog } from '../../src/catalog/image-catalog.js';
import { ContentPool } from '../../src/image/content-pool.js';
import { ManifestSource } from '../../src/image/manifest-source.js';
import { ImagePinner } from '../../src/image/pinner.js';
import { ImageRegistry } from '../../src/image/registry.js';
import { ManifestStore } from '../../src/manifest/store.js';
import type { Export } from '../../src/server/export.js';
import { EtcdServer } from '../cluster/etcd-server.js';
import { content } from '../daemon/node.js';
import { until } from '../support/wait.js';

const sizeBytes = 128 * 1024;

interface Host {
  catalog: EtcdCatalog;
  registry: ImageRegistry;
  pool: ContentPool;
}

async function startHost(t: Test, url: string, name: string): Promise<Host> {
  const dirOf = (room: string): string => {
    const dir = join(t.testdirName, name, room);
    mkdirSync(dir, { recursive: true });
    return dir;
  };
  const [cacheDir, runDir] = [dirOf('cache'), dirOf('run')];
  const client = new EtcdClient({ urls: [url], callTimeoutMs: 10_000 });
  const catalog = new EtcdCatalog({ client, prefix: '/copse', local: new ImageCatalog(dirOf('catalog'), log), log });
  const space = new CacheSpace({ clock: systemClock, log, path: cacheDir, budgetBytes: 2 ** 30, minFreeBytes: 0 });
  const pool = new ContentPool({
    cacheDir,
    runDir,
    space,
    memory: { raw: new Budget(2 ** 26), decoded: new Budget(2 ** 26) },
    readaheadBytes: 0,
    credentials: [],
    manifestOf: async () => undefined,
    clusterOf: () => undefined,
    log,
  });
  t.after(async () => {
    catalog.close();
    client.close();
    await pool.close();
    space.close();
  });
  const manifests = new ManifestSource({ store: new ManifestStore(dirOf('manifest'), log), credentials: [], log });
  const pinner = new ImagePinner({ catalog, pool, runDir, credentials: [], defaultChunkSizeBytes: 65_536, manifests, log });
  const registry = new ImageRegistry({ catalog, pool, pinner, defaultDeadlineMs: 60_000, names: new ExportNames(), log });
  await catalog.start(60_000);
  await registry.start();
  return { catalog, registry, pool };
}

async function attach({ registry }: Host, name: string): Promise<Export> {
  const opened = await registry.open(name);
  if (opened === undefined) throw new Error(`${name} is not served`);
  return opened;
}

async function read({ device }: Export): Promise<Buffer> {
  const target = Buffer.alloc(sizeBytes);
  await device.read(target, 0);
  return target;
}

t.test('a name is the same image on both, at all times', async (t) => {
  t.testdir();
  const path = join(t.testdirName, 'origin');
  const [first, second] = [content(sizeBytes, 1), content(sizeBytes, 2)];
  writeFileSync(path, first);
  const server = await EtcdServer.start();
  t.after(() => server.stop());
  const [a, b] = [await startHost(t, server.url, 'a'), await startHost(t, server.url, 'b')];
  const served = ({ registry }: Host): string => registry.images.map(({ record }) => record.name).join();

  await a.registry.add({ name: 'debian', url: path });
  await until('b serves it', () => served(b) === 'debian');
  const guest = await attach(b, 'debian');
  t.ok((await read(guest)).equals(first));
  t.equal(
    (await b.registry.add({ name: 'debian', url: path })).record.pinnedAt,
    a.registry.get('debian').record.pinnedAt,
    'the same again',
  );

  await b.registry.add({ name: 'debian', url: path, deadlineMs: 1234 });
  await until('a has the deadline', () => a.registry.get('debian').record.deadlineMs === 1234);

  writeFileSync(path, second);
  await a.registry.repin('debian');
  await until('b has moved', () => b.registry.get('debian').record.pinnedAt === a.registry.get('debian').record.pinnedAt);
  const other = await attach(b, 'debian');
  t.ok((await read(other)).equals(second));
  t.ok((await read(guest)).equals(first), 'who was attached keeps what it had');
  guest.release();

  await a.registry.remove('debian');
  await until('b has let it go', () => served(b) === '');
  t.equal(await b.registry.open('debian'), undefined);
  t.ok((await read(other)).equals(second), 'who was attached keeps what it had');
  other.release();
  await until('nothing is open', () => b.pool.contents.length === 0);
});

t.test('without etcd a node serves on and changes nothing', async (t) => {
  t.testdir();
  const path = join(t.testdirName, 'origin');
  writeFileSync(path, content(sizeBytes, 1));
  const server = await EtcdServer.start();
  t.after(() => server.stop());
  const a = await startHost(t, server.url, 'a');
  await a.registry.add({ name: 'debian', url: path });
  await server.kill();
  await t.rejects(a.registry.add({ name: 'other', url: path }), { code: 'ERR_ETCD_UNAVAILABLE' });
  await t.rejects(a.registry.remove('debian'), { code: 'ERR_ETCD_UNAVAILABLE' });
  const guest = await attach(a, 'debian');
  t.ok((await read(guest)).equals(content(sizeBytes, 1)));
  guest.release();
});
