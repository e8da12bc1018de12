/** The right to open a content's origin for a disk comes from this node's own catalog, and outlives the image's name. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { silentLogger } from '../../src/base/log.js';
import { DiskOrigins } from '../../src/catalog/disk-origin.js';
import { type ContentSpec, contentId, type ImageRecord } from '../../src/catalog/image-record.js';

const manifest = { digest: `blake3:${'1'.repeat(64)}` };

function contentAt(url: string, rest: Partial<ContentSpec> = {}): ContentSpec {
  return { url, identity: { kind: 'http', sizeBytes: 65_536 }, format: 'raw', sizeBytes: 65_536, chunkSizeBytes: 65_536, ...rest };
}

function open(path: string, images: Pick<ImageRecord, 'content' | 'share'>[] = [], present: ContentSpec[] = []): DiskOrigins {
  return new DiskOrigins({ path, images: () => images, present: () => present, log: silentLogger });
}

t.test('what the catalog named once', async (t) => {
  const path = join(t.testdir({}), 'disk-origins.json');
  const spec = contentAt('https://images.example/a.raw');
  t.equal(open(path).origin(spec), undefined);
  t.same(open(path, [{ content: spec }]).origin({ ...spec }), spec);
  t.same(open(path).origin(spec), spec, 'after the name is gone');
  t.ok(open(path).has(contentId(spec)));
  t.equal(open(path).origin(contentAt('https://images.example/b.raw')), undefined);
});

t.test('other URLs of the same bytes', async (t) => {
  const path = join(t.testdir({}), 'disk-origins.json');
  const own = contentAt('/srv/a.raw', { identity: { kind: 'file', sizeBytes: 65_536, inode: '1', mtimeNs: '1' }, manifest });
  const theirs = contentAt('http://127.0.0.1/secret', { manifest: { ...manifest, url: 'http://127.0.0.1/manifest' } });
  t.same(open(path, [{ content: own }]).origin(theirs), own, 'by the manifest');
  t.same(open(path).origin(theirs), own);
  const unsealed = contentAt('http://127.0.0.1/other');
  t.equal(
    open(path, [{ content: contentAt('/srv/other.raw'), share: 'trust' }]).origin(unsealed),
    undefined,
    'a word of trust tells nothing',
  );
  t.equal(open(path, [{ content: own }]).origin({ ...theirs, sizeBytes: 131_072 }), undefined);
});

t.test('a state directory of before counts what is there; a file that is rotten stops the start', async (t) => {
  const dir = t.testdir({ rotten: '{' });
  const spec = contentAt('https://images.example/a.raw');
  const path = join(dir, 'disk-origins.json');
  t.same(open(path, [], [spec]).origin(spec), spec);
  t.match(readFileSync(path, 'utf8'), /images\.example/);
  const later = contentAt('https://images.example/later.raw');
  t.equal(open(path, [], [later]).origin(later), undefined, 'only once');
  t.throws(() => open(join(dir, 'rotten')), { code: 'ERR_STATE' });
});

t.test('a new node does not count at its next start what a peer has brought', async (t) => {
  const path = join(t.testdir({}), 'disk-origins.json');
  const spec = contentAt('http://127.0.0.1/secret');
  t.equal(open(path).origin(spec), undefined);
  t.equal(open(path, [], [spec]).origin(spec), undefined);
});

t.test('a file that can not be written keeps no disk from its origin', async (t) => {
  const path = join(t.testdir({}), 'none', 'disk-origins.json');
  const spec = contentAt('https://images.example/a.raw');
  const origins = open(path, [{ content: spec }]);
  t.same(origins.origin(spec), spec);
  mkdirSync(join(path, '..'));
  origins.remember(contentAt('https://images.example/b.raw'));
  t.same(open(path).origin(spec), spec, 'the next one that can be written has all of them');
});
