/** Seal, add, read: a whole node serves the sealed bytes or an error, whatever its origin has. */
import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { sealUrl } from '../../src/image/seal-url.js';
import { content, Node } from '../daemon/node.js';
import { type ScriptedServer, scriptedServer } from '../origin/http-server.js';

const chunkBytes = 65_536;
const sizeBytes = 16 * chunkBytes + 512;
const image = content(sizeBytes, 1);
// Zeros in the middle and at the end.
image.fill(0, 4 * chunkBytes, 6 * chunkBytes);
image.fill(0, 16 * chunkBytes);

/** A server that says nothing of its content but its size. */
async function bareServer(t: { teardown(callback: () => Promise<void>): unknown }, bytes: Buffer): Promise<ScriptedServer> {
  const server = await scriptedServer(bytes);
  t.teardown(() => server.close());
  server.etag = undefined;
  server.lastModified = undefined;
  return server;
}

async function sealed(node: Node): Promise<{ path: string; manifest: string; digest: string }> {
  const path = node.originPath('a.raw');
  writeFileSync(path, image);
  const { manifestPath, digest } = await sealUrl(path, { chunkSizeBytes: chunkBytes });
  return { path, manifest: manifestPath, digest };
}

t.test('a sealed image is served, from a server without ETag too, and after a restart without the server of its manifest', async (t) => {
  const node = await Node.start(t);
  const { manifest, digest } = await sealed(node);
  const server = await bareServer(t, image);
  await t.rejects(node.admin.images.add({ name: 'a', url: server.url }), { code: 'ERR_ORIGIN_REFUSED' });
  const added = await node.admin.images.add({ name: 'a', url: server.url, manifest, digest });
  t.match(added, { chunkSizeBytes: chunkBytes, sizeBytes });
  t.match(await node.admin.images.add({ name: 'a', url: server.url, manifest, digest }), { pinnedAt: added.pinnedAt }, 'the same again');
  t.ok((await node.readAll('a', sizeBytes)).equals(image));
  rmSync(manifest);
  await node.stop();
  await node.start();
  t.ok((await node.readAll('a', sizeBytes)).equals(image));
  t.same(readdirSync(join(node.config.stateDir, 'manifest')), [digest.slice('blake3:'.length)]);
});

t.test('chunks of zeros are asked of nobody', async (t) => {
  const node = await Node.start(t);
  const { manifest, digest } = await sealed(node);
  const server = await bareServer(t, image);
  await node.admin.images.add({ name: 'a', url: server.url, format: 'raw', manifest, digest });
  const { session, detach } = await node.attach('a');
  const before = server.requests.length;
  t.ok((await session.read(4 * chunkBytes, 2 * chunkBytes)).data.equals(Buffer.alloc(2 * chunkBytes)));
  t.ok((await session.read(16 * chunkBytes, 512)).data.equals(Buffer.alloc(512)));
  t.equal(server.requests.length, before);
  await detach();
});

t.test('one wrong bit at the origin: that chunk is an error, never wrong bytes; put right, it is read', async (t) => {
  const node = await Node.start(t);
  const { manifest, digest } = await sealed(node);
  const wrong = Buffer.from(image);
  const at = 3 * chunkBytes + 77;
  wrong[at] = (wrong[at] ?? 0) ^ 4;
  const server = await bareServer(t, wrong);
  const added = { url: server.url, format: 'raw', manifest, digest };
  await node.admin.images.add({ ...added, name: 'a' });
  await node.admin.images.add({ ...added, name: 'hasty', deadlineMs: 1000 });
  const hasty = await node.attach('hasty');
  t.not((await hasty.session.read(3 * chunkBytes, 4096)).error, 0, 'even where the bytes that were asked for are right');
  await hasty.detach();
  const { session, detach } = await node.attach('a');
  t.ok((await session.read(2 * chunkBytes, chunkBytes)).data.equals(image.subarray(2 * chunkBytes, 3 * chunkBytes)));
  await node.stored('a', chunkBytes);
  server.content = image;
  t.ok((await session.read(3 * chunkBytes, chunkBytes)).data.equals(image.subarray(3 * chunkBytes, 4 * chunkBytes)));
  await node.stored('a', 2 * chunkBytes);
  await detach();
});

t.test('what does not belong together is refused', async (t) => {
  const node = await Node.start(t);
  const { path, manifest, digest } = await sealed(node);
  const other = `blake3:${'0'.repeat(64)}`;
  await t.rejects(node.admin.images.add({ name: 'a', url: path, manifest, digest: other }), { code: 'ERR_DIGEST_MISMATCH' });
  await t.rejects(node.admin.images.add({ name: 'a', url: path, manifest }), { code: 'ERR_OPTION' });
  await t.rejects(node.admin.images.add({ name: 'a', url: path, manifest: path, digest: other }), { code: 'ERR_DIGEST_MISMATCH' });
  await t.rejects(node.admin.images.add({ name: 'a', url: path, digest }), { code: 'ERR_OPTION' });
  await t.rejects(node.admin.images.add({ name: 'a', url: path, manifest, digest, chunkSizeBytes: 131_072 }), { code: 'ERR_OPTION' });
  writeFileSync(node.originPath('b.raw'), Buffer.concat([image, Buffer.alloc(512)]));
  await t.rejects(node.admin.images.add({ name: 'a', url: node.originPath('b.raw'), manifest, digest }), { code: 'ERR_MANIFEST' });
  t.same(await node.admin.images.list(), []);
});

t.test('a name that is sealed is not that image unsealed', async (t) => {
  const node = await Node.start(t);
  const { path, manifest, digest } = await sealed(node);
  await node.admin.images.add({ name: 'a', url: path, manifest, digest });
  await t.rejects(node.admin.images.add({ name: 'a', url: path }), { code: 'ERR_IMAGE_EXISTS' }, 'unsealed it is another');
});

t.test('a file may be replaced by a copy under a sealed image', async (t) => {
  const node = await Node.start(t);
  const { path, manifest, digest } = await sealed(node);
  await node.admin.images.add({ name: 'a', url: path, format: 'raw', manifest, digest });
  writeFileSync(`${path}.new`, image);
  renameSync(`${path}.new`, path);
  t.ok((await node.readAll('a', sizeBytes)).equals(image));
  await node.stored('a', sizeBytes);
  const before = await node.admin.images.status('a');
  t.match(await node.admin.images.repin('a'), { cache: before.cache }, 'there is nothing to repin');
});

t.test('a seal by name is that of the file', async (t) => {
  const node = await Node.start(t);
  const { path, digest } = await sealed(node);
  await node.admin.images.add({ name: 'a', url: path });
  const result = await node.admin.images.seal('a', { signal: new AbortController().signal, onProgress: () => {} });
  t.equal(result.digest, digest);
  await node.admin.images.add({ name: 'b', url: path, manifest: result.manifestPath, digest });
  t.ok((await node.readAll('b', sizeBytes)).equals(image));
});
