/** The object graph from a configuration: images come, move and go while clients are attached, and everything is there after a restart. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t from 'tap';
import { ScriptedOrigin } from '../fault/origin.js';
import { content, Node } from './node.js';

const sizeBytes = 1024 * 1024;
const [first, second] = [content(sizeBytes, 1), content(sizeBytes, 2)];

/** Another version takes the file's place, as a build would put it there. */
function replace(path: string, bytes: Buffer): void {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}

t.test('add, read, remove: nothing is left', async (t) => {
  const node = await Node.start(t);
  const url = node.originPath('a');
  writeFileSync(url, first);
  const added = await node.admin.images.add({ name: 'a', url });
  t.match(added, { name: 'a', format: 'raw', sizeBytes, chunkSizeBytes: 65_536 });
  t.match(await node.admin.images.add({ name: 'a', url }), { name: 'a', pinnedAt: added.pinnedAt }, 'the same again changes nothing');
  await t.rejects(node.admin.images.add({ name: 'a', url: `${url}2` }), { code: 'ERR_IMAGE_EXISTS' });
  await t.rejects(node.admin.images.add({ name: 'a', url, chunkSizeBytes: 131_072 }), { code: 'ERR_IMAGE_EXISTS' });
  t.ok((await node.readAll('a', sizeBytes)).equals(first));
  await node.stored('a', sizeBytes);
  await node.admin.images.remove('a');
  t.same(await node.admin.images.list(), []);
  t.same(readdirSync(join(node.config.stateDir, 'cache')), []);
  t.same(readdirSync(join(node.config.stateDir, 'catalog')), []);
  await t.rejects(node.admin.images.remove('a'), { code: 'ERR_NO_SUCH_IMAGE' });
});

t.test('an image that is attached is not removed', async (t) => {
  const node = await Node.start(t);
  writeFileSync(node.originPath('a'), first);
  await node.admin.images.add({ name: 'a', url: node.originPath('a') });
  const { session, detach } = await node.attach('a');
  await t.rejects(node.admin.images.remove('a'), { code: 'ERR_IMAGE_IN_USE' });
  t.ok((await session.read(0, 4096)).data.equals(first.subarray(0, 4096)));
  await detach();
  await node.admin.images.remove('a');
});

t.test('two names of one content share its cache; it goes with the last', async (t) => {
  const node = await Node.start(t);
  writeFileSync(node.originPath('a'), first);
  for (const name of ['a', 'b']) await node.admin.images.add({ name, url: node.originPath('a') });
  await node.readAll('a', sizeBytes);
  await node.stored('b', sizeBytes);
  await node.admin.images.remove('a');
  t.equal((await node.admin.images.status('b')).cache.cachedBytes, sizeBytes);
  t.ok((await node.readAll('b', sizeBytes)).equals(first));
  await node.admin.images.remove('b');
  t.same(readdirSync(join(node.config.stateDir, 'cache')), []);
});

t.test('a repin moves the name; who is attached keeps what was cached of the old content', async (t) => {
  const node = await Node.start(t);
  const url = node.originPath('a');
  writeFileSync(url, first);
  await node.admin.images.add({ name: 'a', url });
  const old = await node.attach('a');
  const half = sizeBytes / 2;
  t.ok((await old.session.read(0, half)).data.equals(first.subarray(0, half)));
  replace(url, second);
  t.equal((await node.admin.images.repin('a')).origin.health === 'changed', false);
  t.ok((await node.readAll('a', sizeBytes)).equals(second), 'new clients see the new content');
  t.ok((await old.session.read(0, half)).data.equals(first.subarray(0, half)), 'the old one what it saw');
  const beyond = await old.session.read(half + 65_536, 4096);
  t.ok(beyond.error !== 0 || beyond.data.equals(first.subarray(half + 65_536, half + 69_632)), 'and never bytes of the new one');
  await t.rejects(node.admin.images.remove('a'), { code: 'ERR_IMAGE_IN_USE' });
  t.equal(readdirSync(join(node.config.stateDir, 'cache')).length, 4);
  await old.detach();
  t.match(await node.admin.images.repin('a'), { pinnedAt: (await node.admin.images.status('a')).pinnedAt }, 'nothing changed meanwhile');
});

t.test('content that lost its name is used again when the name comes back', async (t) => {
  const node = await Node.start(t);
  const url = node.originPath('a');
  writeFileSync(url, first);
  await node.admin.images.add({ name: 'a', url });
  await node.readAll('a', sizeBytes);
  await node.stored('a', sizeBytes);
  renameSync(url, `${url}.first`);
  writeFileSync(url, second);
  await node.admin.images.repin('a');
  t.equal((await node.admin.images.status('a')).cache.cachedBytes, 0);
  renameSync(`${url}.first`, url);
  await node.admin.images.repin('a');
  t.equal((await node.admin.images.status('a')).cache.cachedBytes, sizeBytes, 'without fetching a byte');
  t.ok((await node.readAll('a', sizeBytes)).equals(first));
});

t.test('content that lost its name is evicted first, after a restart too', async (t) => {
  const node = await Node.start(t, { cache: { sizeBytes: 3 * sizeBytes + sizeBytes / 2, minFreeBytes: 0 } });
  const [a, b] = [node.originPath('a'), node.originPath('b')];
  writeFileSync(a, first);
  writeFileSync(b, content(2 * sizeBytes, 4));
  await node.admin.images.add({ name: 'a', url: a });
  await node.readAll('a', sizeBytes);
  replace(a, second);
  await node.admin.images.repin('a');
  await node.readAll('a', sizeBytes);
  await node.stop();
  await node.start();
  t.equal((await node.admin.node.status()).cache.usedBytes, 2 * sizeBytes, 'still there, and counted');
  await node.admin.images.add({ name: 'b', url: b });
  t.ok((await node.readAll('b', 2 * sizeBytes)).equals(content(2 * sizeBytes, 4)));
  await node.stored('b', 2 * sizeBytes);
  t.equal((await node.admin.images.status('a')).cache.cachedBytes, sizeBytes, 'what has a name stays');
});

t.test('a restart keeps everything, with the origin gone', async (t) => {
  const node = await Node.create(t);
  const url = node.originPath('a');
  writeFileSync(url, first);
  const images = [{ name: 'a', url }];
  await node.start(images);
  await node.admin.images.add({ name: 'os/b', url, deadlineMs: 51_234, chunkSizeBytes: 131_072 });
  for (const name of ['a', 'os/b']) {
    await node.readAll(name, sizeBytes);
    await node.stored(name, sizeBytes);
  }
  const before = await node.admin.images.list();
  await node.stop();
  rmSync(url);
  await node.start(images);
  t.same(
    (await node.admin.images.list()).map(({ origin: _, ...rest }) => rest),
    before.map(({ origin: _, ...rest }) => rest),
  );
  for (const name of ['a', 'os/b']) t.ok((await node.readAll(name, sizeBytes)).equals(first), name);
  t.equal((await node.admin.images.status('a')).cache.unverifiedBytes, 0, 'after a clean end nothing has to be verified');
});

t.test('an image of the configuration that fails keeps no other from its guests', async (t) => {
  const node = await Node.create(t);
  writeFileSync(node.originPath('a'), first);
  const bad = { name: 'bad', url: node.originPath('missing') };
  const good = { name: 'good', url: node.originPath('a') };
  for (const images of [
    [good, bad],
    [bad, good],
  ]) {
    await node.start(images);
    t.same(
      (await node.admin.images.list()).map(({ name }) => name),
      ['good'],
    );
    t.ok((await node.readAll('good', sizeBytes)).equals(first));
    await node.admin.images.remove('good');
    await node.stop();
  }
});

t.test('with nothing at all to serve it says why and does not start', async (t) => {
  const node = await Node.create(t);
  const images = [
    { name: 'bad', url: node.originPath('missing') },
    { name: 'worse', url: 'gopher://example.org/' },
  ];
  await t.rejects(node.start(images), { code: 'ERR_ORIGIN_REFUSED' });
  await t.resolves(node.start([]), 'without images it starts: they can be added');
});

t.test('one record that can not be served keeps no other from its guests', async (t) => {
  const node = await Node.start(t);
  for (const name of ['a', 'b']) {
    writeFileSync(node.originPath(name), first);
    await node.admin.images.add({ name, url: node.originPath(name) });
  }
  await node.readAll('a', sizeBytes);
  const [map] = readdirSync(join(node.config.stateDir, 'cache')).filter((file) => file.endsWith('.map'));
  await node.stop();
  // Something that nobody expects lies where a map should.
  const path = join(node.config.stateDir, 'cache', map ?? '');
  rmSync(path);
  mkdirSync(path);
  writeFileSync(join(path, 'x'), '');
  await node.start();
  t.equal((await node.admin.images.list()).length, 1);
  const [served] = await node.admin.images.list();
  t.ok((await node.readAll(served?.name ?? '', sizeBytes)).equals(first));
});

t.test('a start that fails lets go of everything', async (t) => {
  const node = await Node.create(t);
  writeFileSync(join(node.folder, 'nbd'), 'in the way');
  await t.rejects(node.start(), { code: 'ERR_LISTEN' });
  rmSync(join(node.folder, 'nbd'));
  await t.resolves(node.start());
});

const qemu = await execa('qemu-img', ['--version'], { reject: false });

t.test(
  'a backing image stays while another image is built on it',
  { skip: qemu.failed && 'qemu-img is not installed (package qemu-utils)' },
  async (t) => {
    const node = await Node.start(t);
    const [base, top] = [node.originPath('base.raw'), node.originPath('top.qcow2')];
    writeFileSync(base, first);
    await execa('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', 'base.raw', top], { cwd: node.originPath('.') });
    const request = { name: 'top', url: top, backing: { 'base.raw': 'base' } };
    await t.rejects(node.admin.images.add(request), { code: 'ERR_NO_SUCH_IMAGE' }, 'what it is built on comes first');
    await node.admin.images.add({ name: 'base', url: base });
    t.match(await node.admin.images.add(request), { format: 'qcow2', sizeBytes });
    await t.rejects(node.admin.images.remove('base'), { code: 'ERR_IMAGE_IN_USE' });
    t.ok((await node.readAll('top', sizeBytes)).equals(first));
    // Its chunks are those of the image below.
    await node.stored('base', sizeBytes);
    await node.admin.images.remove('top');
    await node.admin.images.remove('base');
    t.same(readdirSync(join(node.config.stateDir, 'cache')), []);
  },
);

t.test('each name has its own deadline, whoever opened their content first', async (t) => {
  const origin = await ScriptedOrigin.start(t, first);
  const node = await Node.start(t);
  await node.admin.images.add({ name: 'patient', url: origin.url, deadlineMs: 0 });
  await node.admin.images.add({ name: 'hasty', url: origin.url, deadlineMs: 100 });
  origin.script = () => ({ kind: 'hang' });
  const patient = await node.attach('patient');
  const waiting = patient.session.read(sizeBytes / 2, 4096);
  const hasty = await node.attach('hasty');
  t.equal((await hasty.session.read(sizeBytes / 2, 4096)).error, 5);
  await origin.stop();
  origin.script = () => undefined;
  await origin.start();
  t.ok((await waiting).data.equals(first.subarray(sizeBytes / 2, sizeBytes / 2 + 4096)), 'the other one got its bytes');
  await patient.detach();
  await hasty.detach();
});

t.test('a deadline changes without the cache being lost', async (t) => {
  const node = await Node.start(t);
  const url = node.originPath('a');
  writeFileSync(url, first);
  await node.admin.images.add({ name: 'a', url, deadlineMs: 55_000 });
  await node.readAll('a', sizeBytes);
  await node.stop();
  await node.start([{ name: 'a', url, deadlineMs: 59_000 }]);
  t.match(await node.admin.images.status('a'), { deadlineMs: 59_000, cache: { cachedBytes: sizeBytes } });
});
