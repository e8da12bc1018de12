/** Contents are opened once, closed with their last user, and never open twice on the same files. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Budget } from '../../src/base/budget.js';
import { systemClock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { CacheSpace } from '../../src/cache/evict/cache-space.js';
import { readMapHeader } from '../../src/cache/store/map-header.js';
import { type ContentSpec, contentId } from '../../src/catalog/image-record.js';
import { contentPaths } from '../../src/image/content.js';
import { type ContentLease, ContentPool } from '../../src/image/content-pool.js';
import { pinFile } from '../../src/origin/file/file.js';
import { content } from '../daemon/node.js';

const single = { manifestOf: () => Promise.resolve(undefined), clusterOf: () => undefined };
const sizeBytes = 512 * 1024;
const bytes = content(sizeBytes, 9);

async function setUp(t: Test): Promise<{ pool: ContentPool; spec: ContentSpec; mapPath: string; space: CacheSpace }> {
  // Before the folder is made: tap removes that before it calls what was registered later.
  let close = async (): Promise<void> => {};
  t.after(() => close());
  const dir = t.testdir({ run: {}, cache: {} });
  const url = join(dir, 'origin');
  writeFileSync(url, bytes);
  const common = { clock: systemClock, log: silentLogger };
  const cacheDir = join(dir, 'cache');
  const space = new CacheSpace({ ...common, path: cacheDir, budgetBytes: 2 ** 30, minFreeBytes: 0 });
  const memory = { raw: new Budget(2 ** 26), decoded: new Budget(2 ** 26) };
  const pool = new ContentPool({
    ...common,
    cacheDir,
    runDir: join(dir, 'run'),
    space,
    memory,
    readaheadBytes: 0,
    credentials: [],
    ...single,
  });
  close = async () => {
    await pool.close();
    space.close();
  };
  const spec: ContentSpec = { url, identity: await pinFile(url), format: 'raw', sizeBytes, chunkSizeBytes: 65_536 };
  return { pool, spec, space, mapPath: contentPaths(cacheDir, contentId(spec)).mapPath };
}

async function readAll({ content: { device } }: ContentLease): Promise<Buffer> {
  const target = Buffer.alloc(sizeBytes);
  await device.read(target, 0);
  return target;
}

t.test('one content for all who use it, closed with the last', async (t) => {
  const { pool, spec, mapPath } = await setUp(t);
  const leases = await Promise.all([pool.lease(spec), pool.lease(spec), pool.lease({ ...spec })]);
  const [one, two, three] = leases;
  t.equal(new Set(leases.map((lease) => lease.content)).size, 1);
  t.equal(pool.contents.length, 1);
  await Promise.all([one.release(), one.release(), two.release()]);
  const target = Buffer.alloc(sizeBytes);
  await three.content.device.read(target, 0);
  t.ok(target.equals(bytes), 'a second release of one took nothing from another');
  t.equal(readMapHeader(mapPath)?.clean, undefined);
  await three.release();
  t.equal(pool.contents.length, 0);
});

t.test('what lies unused is opened by one of many who want it at once', async (t) => {
  const { pool, spec, space } = await setUp(t);
  const lease = await pool.lease(spec);
  await lease.content.device.cache(0, sizeBytes);
  await lease.release();
  t.equal(space.usedBytes, sizeBytes, 'still counted');
  const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease(spec)));
  t.equal(new Set(leases.map(({ content }) => content)).size, 1);
  t.equal(space.usedBytes, sizeBytes, 'and counted once');
  for (const lease of leases) t.ok((await readAll(lease)).equals(bytes), 'nobody closed the files behind the content');
  for (const { release } of leases) await release();
});

t.test('opened while it is being closed', async (t) => {
  const { pool, spec } = await setUp(t);
  const lease = await pool.lease(spec);
  await lease.content.device.cache(0, sizeBytes);
  const released = lease.release();
  const leases = await Promise.all([pool.lease(spec), pool.lease(spec)]);
  await released;
  t.equal(new Set(leases.map(({ content }) => content)).size, 1);
  t.not(leases[0].content, lease.content);
  t.equal(leases[0].content.cache.store.dataBytes, sizeBytes);
  t.ok((await readAll(leases[0])).equals(bytes));
});

t.test('forgotten with its last user', async (t) => {
  const { pool, spec, space, mapPath } = await setUp(t);
  const [left, right] = [await pool.lease(spec), await pool.lease(spec)];
  await left.content.device.cache(0, sizeBytes);
  await left.release({ forget: true });
  t.ok(existsSync(mapPath), 'somebody uses it');
  await right.release({ forget: true });
  t.notOk(existsSync(mapPath));
  t.equal(space.usedBytes, 0);
});

t.test('a content whose closing failed can be opened again', async (t) => {
  const { pool, spec } = await setUp(t);
  const lease = await pool.lease(spec);
  const { close } = lease.content;
  lease.content.close = async () => {
    await close.call(lease.content);
    throw new Error('injected');
  };
  await lease.release().catch(() => {});
  const again = await pool.lease(spec);
  const target = Buffer.alloc(100);
  await again.content.device.read(target, 0);
  t.ok(target.equals(bytes.subarray(0, 100)));
});
