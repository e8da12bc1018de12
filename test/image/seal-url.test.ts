/** Sealing what lies at a path or URL, into a file. */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sealUrl } from '../../src/image/seal-url.js';
import { Manifest } from '../../src/manifest/manifest.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { chunkBytes, manifestOf, sampleImage } from '../manifest/sample.js';

const image = sampleImage(20 * chunkBytes + 333, [1, 2, 0, 0, 0, 3, ...Array.from({ length: 15 }, (_, index) => index)]);

t.test('a file: the manifest lies beside it, and is that of its bytes', async (t) => {
  const path = join(t.testdir(), 'a.raw');
  writeFileSync(path, image);
  const result = await sealUrl(path, { chunkSizeBytes: chunkBytes });
  t.same(result, { doneBytes: image.length, totalBytes: image.length, manifestPath: `${path}.manifest`, digest: manifestOf(image).digest });
  const manifest = Manifest.decode(readFileSync(result.manifestPath), result.digest);
  t.equal(manifest.sizeBytes, image.length);
  const other = await sealUrl(`file://${path}`, { outputPath: join(t.testdirName, 'm') });
  t.equal(Manifest.decode(readFileSync(join(t.testdirName, 'm')), other.digest).chunkBytes, 262_144, 'the default');
  await sealUrl(path, { chunkSizeBytes: chunkBytes });
  t.same(readdirSync(t.testdirName).sort(), ['a.raw', 'a.raw.manifest', 'm'], 'nothing else is left');
});

t.test('a URL gives the same as the file, through failures of its server', async (t) => {
  const origin = await ScriptedOrigin.start(t, image);
  origin.script = ({ index }) => (index === 1 ? { kind: 'reset' } : index === 2 ? { kind: 'cut', bytes: 70_000 } : undefined);
  const outputPath = join(t.testdir(), 'm');
  const result = await sealUrl(origin.url, { outputPath, chunkSizeBytes: chunkBytes });
  t.equal(result.digest, manifestOf(image).digest);
  t.ok(origin.requests.length > 4);
});

t.test('what can not be sealed leaves nothing behind', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'a.raw');
  writeFileSync(path, image);
  await t.rejects(sealUrl(join(dir, 'none.raw')), { code: 'ERR_ORIGIN_REFUSED' });
  await t.rejects(sealUrl(path, { chunkSizeBytes: 4096 }), { code: 'ERR_MANIFEST' });
  await t.rejects(sealUrl(path, { outputPath: join(dir, 'missing', 'm') }), { code: 'ERR_OUTPUT' });
  await t.rejects(sealUrl(path, { outputPath: path }), { code: 'ERR_OPTION' });
  await t.rejects(sealUrl('nbd://127.0.0.1:1/a'), { code: 'ERR_OPTION' });
  await t.rejects(sealUrl('http://127.0.0.1:1/'), { code: 'ERR_OPTION' });
  const abort = new AbortController();
  await t.rejects(sealUrl(path, { signal: abort.signal, onProgress: () => abort.abort() }), { code: 'ERR_ABORTED' });
  t.same(readdirSync(dir), ['a.raw']);
  t.ok(readFileSync(path).equals(image));
});

t.test('a file that changes while it is sealed has no manifest', async (t) => {
  const path = join(t.testdir(), 'a.raw');
  writeFileSync(path, Buffer.alloc(64 * 1024 * 1024, 1));
  const sealing = sealUrl(path, { onProgress: (doneBytes) => void (doneBytes < 2 ** 22 && truncateSync(path, 2 ** 26 - 1)) });
  await t.rejects(sealing, { code: 'ERR_ORIGIN_CHANGED' });
  t.notOk(existsSync(`${path}.manifest`));
});
