/**
 * A disk moves with its content, not with the right to open that content's origin: the new owner
 * has the chunks from the members that serve it, unless its own catalog names the content, or its
 * configuration allows the URL.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { Secret } from '../../src/base/secret.js';
import { addressesOf, allUp, startMember } from '../daemon/member.js';
import { content, type Node } from '../daemon/node.js';
import { scriptedServer } from '../origin/http-server.js';
import { until } from '../support/wait.js';

const sizeBytes = 8 * 65_536;
const bytes = content(sizeBytes, 1);
const token = 'a-token';

/** An origin that answers nobody without the token, and two nodes of which one has it. */
async function tokenCluster(t: Test) {
  const server = await scriptedServer(bytes);
  t.teardown(() => server.close());
  const strangers: (string | undefined)[] = [];
  server.handler = (request, response) => {
    const { authorization } = request.headers;
    if (authorization === `Bearer ${token}`) return server.serve(request, response);
    strangers.push(authorization);
    response.writeHead(401).end();
  };
  const addresses = await addressesOf(2);
  const [atA = '', atB = ''] = addresses;
  const a = await startMember(t, 'a', atA, addresses, { credentials: [{ urlPrefix: server.url, bearer: new Secret(token) }] });
  const b = await startMember(t, 'b', atB, addresses);
  await allUp([a, b], ['a', 'b']);
  return { server, strangers, a, b };
}

/** True if the owner's file names no former owner any more: the answer to the last release has come. */
function hasReleasedAll(owner: Node, uuid: string): boolean {
  const { nodes } = JSON.parse(readFileSync(join(folderOf(owner, uuid), 'owner.json'), 'utf8'));
  return Object.keys(nodes).length === 0;
}

async function known(node: Node, disk: string): Promise<void> {
  await until('the disk is known', async () => (await node.admin.disks.list()).some(({ name }) => name === disk));
}

/** A client that stays attached, and whose first write brings the disk to the node. */
async function runAt(node: Node, disk: string) {
  const { session, detach } = await node.attach(disk);
  const write = await session.write(0, Buffer.alloc(4096, 0xaa));
  if (write.error !== 0) throw new Error(`the write failed: ${write.error} ${write.message}`);
  const read = async (chunk: number): Promise<number> => {
    const { error, data } = await session.read(chunk * 65_536, 65_536);
    if (error === 0 && !data.subarray(4096).equals(bytes.subarray(chunk * 65_536 + 4096, (chunk + 1) * 65_536)))
      throw new Error('wrong bytes');
    return error;
  };
  return { read, detach };
}

function folderOf(node: Node, uuid: string): string {
  return join(node.folder, 'state', 'disk', uuid);
}

t.test('over HTTP with a token, after image rm: the former owner goes on as the home of the chunks', async (t) => {
  const { server, strangers, a, b } = await tokenCluster(t);
  await a.admin.images.add({ name: 'image', url: server.url });
  const { uuid } = await a.admin.disks.create({ name: 'vm', image: 'image', deadlineMs: 20_000 });
  const first = await runAt(a, 'vm');
  t.equal(await first.read(1), 0);
  await first.detach();
  await t.rejects(a.admin.images.remove('image'), { code: 'ERR_IMAGE_IN_USE' }, 'while this node knows of the disk');
  // As after a removal elsewhere, or by hand.
  await a.stop();
  rmSync(join(a.folder, 'state', 'catalog', 'image.json'));
  await a.start();
  await allUp([a, b], ['a', 'b']);
  t.same(await a.admin.images.list(), []);
  const atA = await runAt(a, 'vm');
  t.equal(await atA.read(5), 0, 'a disk keeps the origin of its content');
  await known(b, 'vm');
  const atB = await runAt(b, 'vm');
  t.equal((await b.admin.disks.status('vm')).place, 'owner');
  t.equal(await atB.read(1), 0, 'what the former owner holds');
  t.equal(await atB.read(2), 0, 'what it has to ask the origin for');
  await atA.detach();
  await until('all of the disk has moved', () => !existsSync(folderOf(a, uuid)) && hasReleasedAll(b, uuid));
  t.equal(await atB.read(3), 0, 'the content is served though no disk over it is there, nor any image');
  await atB.detach();
  t.same(strangers, [], 'nobody asked without the token');
  await a.stop();
  await a.start();
  await allUp([a, b], ['a', 'b']);
  const again = await runAt(b, 'vm');
  await until('and after a restart', async () => (await again.read(4)) === 0);
  await again.detach();
  t.same(strangers, []);
});

t.test('over HTTP with a token, after image repin: the content that the disk was created over', async (t) => {
  const { server, strangers, a, b } = await tokenCluster(t);
  await a.admin.images.add({ name: 'image', url: server.url });
  await a.admin.disks.create({ name: 'vm', image: 'image', deadlineMs: 20_000 });
  const atA = await runAt(a, 'vm');
  for (let chunk = 0; chunk < 8; chunk += 1) t.equal(await atA.read(chunk), 0);
  server.content = content(sizeBytes, 2);
  server.etag = '"two"';
  await a.admin.images.repin('image');
  await known(b, 'vm');
  const atB = await runAt(b, 'vm');
  for (let chunk = 0; chunk < 8; chunk += 1) t.equal(await atB.read(chunk), 0, `chunk ${chunk} is the old one`);
  await atA.detach();
  await atB.detach();
  t.same(strangers, []);
});

t.test('over a file that only one host allows', async (t) => {
  const dir = t.testdir({});
  const path = join(dir, 'image.raw');
  writeFileSync(path, bytes);
  const addresses = await addressesOf(2);
  const [at1 = '', at2 = ''] = addresses;
  const a = await startMember(t, 'a', at1, addresses);
  const b = await startMember(t, 'b', at2, addresses);
  await allUp([a, b], ['a', 'b']);
  await a.admin.images.add({ name: 'image', url: path });
  const { uuid } = await a.admin.disks.create({ name: 'vm', image: 'image', deadlineMs: 1500 });
  await known(b, 'vm');
  let atB = await runAt(b, 'vm');
  t.equal(await atB.read(1), 0, 'from the other node');
  t.equal((await b.admin.disks.status('vm')).message, undefined);
  await until('all of the disk has moved', () => !existsSync(folderOf(a, uuid)) && hasReleasedAll(b, uuid));
  await a.stop();
  t.not(await atB.read(5), 0, 'the file is there, and is not opened');
  t.equal(await atB.read(1), 0, 'what is cached');
  t.match((await b.admin.disks.status('vm')).message, new RegExp(`allow_origins = \\["${dir}"\\]`));
  await atB.detach();

  await b.stop();
  await b.start();
  atB = await runAt(b, 'vm');
  t.not(await atB.read(6), 0, 'nor after a restart');
  await atB.detach();
  await b.stop();
  b.config = { ...b.config, disk: { allowOrigins: [dir] } };
  await b.start();
  atB = await runAt(b, 'vm');
  t.equal(await atB.read(5), 0, 'the configuration allows it');
  t.equal((await b.admin.disks.status('vm')).message, undefined);
  await atB.detach();
});

t.test('a node whose own catalog names the content uses its own origin', async (t) => {
  const path = join(t.testdir({}), 'image.raw');
  const copyPath = join(t.testdirName, 'copy.raw');
  writeFileSync(path, bytes);
  writeFileSync(copyPath, bytes);
  const addresses = await addressesOf(2);
  const [at1 = '', at2 = ''] = addresses;
  const a = await startMember(t, 'a', at1, addresses);
  const b = await startMember(t, 'b', at2, addresses);
  await allUp([a, b], ['a', 'b']);
  await a.admin.images.add({ name: 'image', url: path });
  await b.admin.images.add({ name: 'same-bytes', url: copyPath });
  await a.admin.disks.create({ name: 'vm', image: 'image', deadlineMs: 3000 });
  await known(b, 'vm');
  const first = await runAt(b, 'vm');
  await first.detach();
  await until('all of the disk has moved', async () => (await b.admin.disks.status('vm')).toCome.length === 0);
  await a.stop();
  // The right to open it outlives the name.
  await b.admin.images.remove('same-bytes');
  await b.stop();
  await b.start();
  const again = await runAt(b, 'vm');
  t.equal(await again.read(6), 0, 'by its own copy of the file');
  await again.detach();
  t.equal(errorCode(await b.admin.images.status('same-bytes').catch((error: unknown) => error)), 'ERR_NO_SUCH_IMAGE');
});
