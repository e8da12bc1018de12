/** Manifests on this node's disk: what comes back has the digest that was asked for. */
import { readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { maxManifestBytes } from '../../src/manifest/format.js';
import { ManifestStore } from '../../src/manifest/store.js';
import { chunkBytes, manifestOf, reread, sampleImage } from './sample.js';

const first = manifestOf(sampleImage(3 * chunkBytes, [1, 0, 2]));
const second = manifestOf(sampleImage(2 * chunkBytes + 1, [3, 4, 5]));

t.test('what was put is there, for the next process too, and once in memory', async (t) => {
  const dir = t.testdir();
  const store = new ManifestStore(dir, silentLogger);
  t.equal(await store.get(first.digest), undefined);
  t.equal(await store.put(first), first);
  t.equal(await store.put(reread(first)), first);
  await store.put(second);
  t.equal(await store.get(first.digest), first);
  t.same(readdirSync(dir).sort(), [first, second].map(({ digest }) => digest.slice('blake3:'.length)).sort());
  t.equal(statSync(store.pathOf(first.digest)).mode & 0o777, 0o600);
  const next = new ManifestStore(dir, silentLogger);
  const [one, same] = [await next.get(first.digest), await next.get(first.digest)];
  t.ok(one?.bytes.equals(first.bytes));
  t.equal(one, same);
  t.same(await next.list(), [first.digest, second.digest].sort());
  await next.remove(first.digest);
  t.same(await next.list(), [second.digest]);
  t.equal(await new ManifestStore(dir, silentLogger).get(first.digest), undefined);
});

t.test('one that rotted, was cut or put there by mistake is not believed', async (t) => {
  const dir = t.testdir();
  const path = new ManifestStore(dir, silentLogger).pathOf(first.digest);
  const rotten = Buffer.from(first.bytes);
  rotten[40] = (rotten[40] ?? 0) ^ 1;
  const damages: Record<string, () => void> = {
    rotten: () => writeFileSync(path, rotten),
    cut: () => writeFileSync(path, first.bytes.subarray(0, 90)),
    empty: () => writeFileSync(path, ''),
    'of another image': () => writeFileSync(path, second.bytes),
    'longer than any manifest': () => {
      writeFileSync(path, first.bytes);
      truncateSync(path, maxManifestBytes + 1);
    },
  };
  for (const [what, damage] of Object.entries(damages)) {
    damage();
    const store = new ManifestStore(dir, silentLogger);
    t.equal(await store.get(first.digest), undefined, what);
    t.same(readdirSync(dir), [], 'it is gone');
    await store.put(first);
    t.equal(await store.get(first.digest), first, 'and can be put again');
    rmSync(path);
  }
});

t.test('what a crash left in the middle of a write goes away', async (t) => {
  const dir = t.testdir();
  writeFileSync(join(dir, `${'0'.repeat(64)}.abc.new`), 'half');
  const store = new ManifestStore(dir, silentLogger);
  t.same(await store.list(), []);
  t.same(readdirSync(dir), []);
});

t.test('a digest is no path', async (t) => {
  const store = new ManifestStore(t.testdir(), silentLogger);
  for (const digest of ['', 'blake3:', `blake3:${'../'.repeat(22)}`, `sha256:${'0'.repeat(64)}`, `blake3:${'A'.repeat(64)}`]) {
    await t.rejects(store.get(digest), { code: 'ERR_DIGEST' }, digest);
  }
});
