/** Names, sizes, and what makes two contents the same. */
import t from 'tap';
import { checkChunkSize } from '../../src/base/chunk-size.js';
import { type ContentSpec, containerSpec, contentId, contentsUnder, imageRecordSchema } from '../../src/catalog/image-record.js';

const raw: ContentSpec = {
  url: 'https://images.example/a.raw',
  identity: { kind: 'http', sizeBytes: 1000, etag: '"x"' },
  format: 'raw',
  sizeBytes: 1000,
  chunkSizeBytes: 262_144,
};
const qcow2: ContentSpec = { ...raw, url: '/srv/b.qcow2', format: 'qcow2', sizeBytes: 5000, backing: { 'a.raw': raw } };

t.test('an id depends on what the content is, not on how it was written down', async (t) => {
  const id = contentId(raw);
  t.match(id, /^[0-9a-f]{32}$/);
  const shuffled = JSON.parse(
    '{"chunkSizeBytes":262144,"format":"raw","identity":{"etag":"\\"x\\"","sizeBytes":1000,"kind":"http"},"sizeBytes":1000,"url":"https://images.example/a.raw"}',
  );
  t.equal(contentId(shuffled), id);
  t.equal(contentId({ ...raw, backing: undefined }), id);
  t.equal(contentId({ ...raw, identity: { kind: 'http', sizeBytes: 1000, etag: '"x"', lastModified: undefined } }), id);
  t.equal(contentId(JSON.parse(JSON.stringify(qcow2))), contentId(qcow2));
  // The state directories of the field depend on it.
  t.equal(id, '14fb58335b7d731ad83a8daadc1be916');
});

t.test('everything that changes a byte, or where it lies, changes the id', async (t) => {
  const others: ContentSpec[] = [
    { ...raw, url: 'https://images.example/b.raw' },
    { ...raw, identity: { kind: 'http', sizeBytes: 1000, etag: '"y"' } },
    { ...raw, format: 'qcow2' },
    { ...raw, sizeBytes: 1001 },
    { ...raw, chunkSizeBytes: 65_536 },
    qcow2,
    { ...qcow2, backing: { 'b.raw': raw } },
    { ...qcow2, backing: { 'a.raw': { ...raw, chunkSizeBytes: 65_536 } } },
    { ...qcow2, backing: {} },
  ];
  t.equal(new Set([raw, ...others].map(contentId)).size, others.length + 1);
});

t.test('a manifest counts by its digest, not by where it lies', async (t) => {
  const digest = `blake3:${'5'.repeat(64)}`;
  const sealed: ContentSpec = { ...raw, manifest: { digest, url: '/srv/a.manifest' } };
  const moved: ContentSpec = { ...raw, manifest: { digest } };
  const other: ContentSpec = { ...raw, manifest: { digest: `blake3:${'6'.repeat(64)}` } };
  t.equal(contentId(sealed), contentId(moved));
  t.equal(new Set([raw, sealed, other].map(contentId)).size, 3);
  t.equal(contentId({ ...qcow2, backing: { 'a.raw': sealed } }), contentId({ ...qcow2, backing: { 'a.raw': moved } }));
  t.equal(contentId({ ...raw, manifest: undefined }), contentId(raw));
  t.equal(contentId({ ...sealed, identity: { kind: 'http', sizeBytes: 1000 } }), contentId(sealed), 'an ETag counts for nothing');
  t.not(contentId({ ...sealed, identity: { kind: 'http', sizeBytes: 1001 } }), contentId(sealed));
  t.not(contentId({ ...sealed, url: '/srv/a.raw' }), contentId(sealed));
  t.equal(containerSpec({ ...qcow2, manifest: { digest } }).manifest?.digest, digest, "it is the container's");
});

t.test('what lies below a content', async (t) => {
  t.same(contentsUnder(raw), [raw]);
  t.same(contentsUnder(qcow2), [qcow2, containerSpec(qcow2), raw]);
  t.same(containerSpec(qcow2), { url: '/srv/b.qcow2', identity: raw.identity, format: 'raw', sizeBytes: 1000, chunkSizeBytes: 262_144 });
});

t.test('chunk sizes', async (t) => {
  for (const kib of [64, 128, 256, 512, 1024]) t.doesNotThrow(() => checkChunkSize(kib * 1024));
  for (const bytes of [0, -65_536, 32_768, 65_537, 98_304, 2 * 1024 * 1024, Number.NaN, 65_536.5])
    t.throws(() => checkChunkSize(bytes), { code: 'ERR_OPTION' }, String(bytes));
});

t.test('a record survives JSON; nonsense is refused', async (t) => {
  const record = { version: 1, name: 'b', content: qcow2, backingImages: { 'a.raw': 'a' }, pinnedAt: '2026-11-01T00:00:00.000Z' };
  t.same(imageRecordSchema.parse(JSON.parse(JSON.stringify(record))), record);
  const manifest = { digest: `blake3:${'0a'.repeat(32)}`, url: '/srv/a.manifest' };
  const identity = { kind: 'file', sizeBytes: 1000, inode: '1', mtimeNs: '2', digest: manifest.digest };
  const sealed = { ...record, share: 'trust', content: { ...raw, identity, manifest } };
  t.same(imageRecordSchema.parse(JSON.parse(JSON.stringify(sealed))), sealed);
  for (const broken of [
    {},
    { ...record, version: 2 },
    { ...record, content: { ...raw, sizeBytes: 0 } },
    { ...record, content: { ...raw, identity: { kind: 'tape', sizeBytes: 1 } } },
    { ...record, deadlineMs: -1 },
    { ...record, share: 'perhaps' },
    { ...record, content: { ...raw, manifest: { digest: 'blake3:12' } } },
  ])
    t.notOk(imageRecordSchema.safeParse(broken).success);
});
