/** A manifest comes from the store, a peer, or its URL, and from whoever has the right one. */

import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { ManifestSource } from '../../src/image/manifest-source.js';
import type { ManifestFetcher } from '../../src/manifest/fetcher.js';
import { maxManifestBytes } from '../../src/manifest/format.js';
import { ManifestStore } from '../../src/manifest/store.js';
import { chunkBytes, manifestOf, sampleImage } from '../manifest/sample.js';
import { scriptedServer } from '../origin/http-server.js';

const manifest = manifestOf(sampleImage(3 * chunkBytes, [1, 0, 2]));
const other = manifestOf(sampleImage(3 * chunkBytes, [1, 1, 2]));
const { digest } = manifest;

function setup(t: Test, fetchers: ManifestFetcher[] = []) {
  const dir = t.testdir({ store: {} });
  const store = new ManifestStore(join(dir, 'store'), silentLogger);
  const asked: string[] = [];
  const source = new ManifestSource({
    store,
    fetchers: () =>
      fetchers.map(({ name, fetch }) => ({
        name,
        fetch: (...args) => {
          asked.push(name);
          return fetch(...args);
        },
      })),
    credentials: [],
    log: silentLogger,
  });
  return { dir, store, source, asked };
}

const answer = (name: string, bytes: Buffer): ManifestFetcher => ({ name, fetch: () => Promise.resolve(Buffer.from(bytes)) });
const failure = (name: string): ManifestFetcher => ({ name, fetch: () => Promise.reject(new Error('away')) });

t.test('the store goes first, then peers one after another, then the URL; then it is in the store', async (t) => {
  const lies = answer('lies', other.bytes);
  const cut = answer('cut', manifest.bytes.subarray(0, 50));
  const { source, store, asked } = setup(t, [failure('away'), lies, cut, answer('well', manifest.bytes), answer('never', manifest.bytes)]);
  t.equal((await source.ensure({ digest, url: '/nonexistent' })).digest, digest);
  t.same(asked, ['away', 'lies', 'cut', 'well']);
  t.ok(existsSync(store.pathOf(digest)));
  await source.ensure({ digest });
  t.equal(asked.length, 4, 'nobody is asked again');
});

t.test('from a file and from a server that says nothing but its size', async (t) => {
  const { dir, source, store } = setup(t, [failure('away')]);
  const path = join(dir, 'm');
  writeFileSync(path, manifest.bytes);
  t.equal((await source.ensure({ digest, url: path })).digest, digest);
  const origin = await scriptedServer(manifest.bytes);
  t.teardown(() => origin.close());
  origin.etag = undefined;
  origin.lastModified = undefined;
  await store.remove(digest);
  t.equal((await new ManifestSource({ store, credentials: [], log: silentLogger }).ensure({ digest, url: origin.url })).digest, digest);
});

t.test('what is not the manifest is refused, and nothing is kept', async (t) => {
  const { dir, source, store } = setup(t, [failure('away')]);
  const path = join(dir, 'm');
  writeFileSync(path, other.bytes);
  await t.rejects(source.ensure({ digest, url: path }), { code: 'ERR_DIGEST_MISMATCH' });
  truncateSync(path, maxManifestBytes + 1);
  await t.rejects(source.ensure({ digest, url: path }), { code: 'ERR_MANIFEST' }, 'too long: not even read');
  await t.rejects(source.ensure({ digest, url: join(dir, 'none') }), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(source.ensure({ digest }), { code: 'ERR_MANIFEST' }, 'nobody knows where it lies');
  t.same(await store.list(), []);
});

t.test('who gives up while a peer is asked asks nobody else', async (t) => {
  const abort = new AbortController();
  const slow: ManifestFetcher = {
    name: 'slow',
    fetch: () => {
      abort.abort();
      return Promise.reject(new Error('given up'));
    },
  };
  const { source, asked } = setup(t, [slow, answer('next', manifest.bytes)]);
  await t.rejects(source.ensure({ digest }, abort.signal), { code: 'ERR_ABORTED' });
  t.same(asked, ['slow']);
});
