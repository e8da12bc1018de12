/**
 * Broke: a disk and an image could get one name, and names could begin with a dash.
 *
 * `image add vm1` beside disk `vm1`, `disk promote vm1 vm1`, and both raced all succeeded. Clients got the disk, `libvirt xml`
 * described the image, and after `disk rm` a reconnecting guest came back to other bytes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { EtcdServer } from '../cluster/etcd-server.js';
import { allUp, controlOf } from '../cluster/fault/disk-fleet.js';
import { type ClusterNode, prepareFleet } from '../cluster/fault/node.js';
import { Daemon } from '../fault/daemon.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';

const mebibyte = 2 ** 20;
const sizeBytes = mebibyte;
/** What a job of the control interface takes. */
const job = { signal: new AbortController().signal, onProgress: () => {} };

async function imageFile(t: Test): Promise<string> {
  const path = join(shortDir(t), 'image.raw');
  writeFileSync(path, Buffer.alloc(mebibyte, 0x69));
  return path;
}

function clientOf(t: Test, daemon: Daemon): AdminClient {
  const control = new AdminClient({ kind: 'unix', path: join(daemon.folder, 'admin.sock') });
  t.teardown(() => control.close());
  return control;
}

/** The first byte that a client reads of an export. */
async function firstByte(daemon: Daemon, name: string): Promise<number | undefined> {
  const session = await daemon.attach(name);
  const { data } = await session.read(0, 4096);
  session.bytes.destroy();
  return data[0];
}

/** Of those that race one must have succeeded, the others have these codes. */
async function oneWins(t: Test, what: string, codes: readonly string[], ...racers: Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(racers);
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1, what);
  for (const result of results) {
    if (result.status === 'rejected') t.ok(codes.includes((result.reason as { code: string }).code), `${what}: ${result.reason}`);
  }
}

t.test('one name is one export, whatever the order and however raced', async (t) => {
  const url = await imageFile(t);
  const daemon = await Daemon.start(t, { images: { base: url } });
  const control = clientOf(t, daemon);
  await control.disks.create({ name: 'vm1', image: 'base' });
  await t.rejects(control.images.add({ name: 'vm1', url }), { code: 'ERR_IMAGE_EXISTS' }, 'an image beside a disk');
  await t.rejects(control.disks.create({ name: 'base', sizeBytes }), { code: 'ERR_DISK_EXISTS' }, 'a disk beside an image');
  await t.rejects(control.disks.promote('vm1', 'vm1', job), { code: 'ERR_IMAGE_EXISTS' }, 'a disk promoted to its own name');
  await t.rejects(control.disks.rename('vm1', 'base'), { code: 'ERR_DISK_EXISTS' });
  await t.rejects(control.images.rename('base', 'vm1'), { code: 'ERR_IMAGE_EXISTS' });
  const codes = ['ERR_DISK_EXISTS', 'ERR_IMAGE_EXISTS'];
  for (let round = 1; round <= 8; round += 1) {
    const name = `race-${round}`;
    await oneWins(t, name, codes, control.images.add({ name, url }), control.disks.create({ name, sizeBytes }));
  }
  await oneWins(t, 'promoted', codes, control.disks.promote('vm1', 'new', job), control.disks.create({ name: 'new', sizeBytes }));
  await oneWins(t, 'renamed', codes, control.disks.rename('vm1', 'newer'), control.images.add({ name: 'newer', url }));
  t.same((await control.node.status()).warnings, []);

  for (const name of ['-x', '--force', 'a/../b']) {
    await t.rejects(control.disks.create({ name, sizeBytes }), { code: 'ERR_NAME' }, name);
    await t.rejects(control.images.add({ name, url }), { code: 'ERR_NAME' }, name);
    await t.rejects(control.images.rename('base', name), { code: 'ERR_NAME' }, name);
  }
});

t.test('what an earlier version made is served on, said, and renamed', async (t) => {
  const url = await imageFile(t);
  const daemon = await Daemon.start(t, { images: { base: url } });
  const control = clientOf(t, daemon);
  const { uuid } = await control.disks.create({ name: 'disk', image: 'base' });
  await control.disks.create({ name: 'vm1', image: 'base' });
  const writer = await daemon.attach('vm1');
  await writer.write(0, Buffer.alloc(4096, 0x64));
  writer.bytes.destroy();
  await daemon.stop();
  // As an earlier version left them.
  const catalog = join(daemon.state, 'catalog');
  const record = JSON.parse(readFileSync(join(catalog, 'base.json'), 'utf8'));
  for (const name of ['vm1', '-i']) writeFileSync(join(catalog, `${name}.json`), JSON.stringify({ ...record, name }));
  const diskPath = join(daemon.state, 'disk', uuid, 'disk.json');
  writeFileSync(diskPath, JSON.stringify({ ...JSON.parse(readFileSync(diskPath, 'utf8')), name: '-d' }));
  await daemon.start();

  const { warnings } = await control.node.status();
  t.same(warnings.map(({ code, message }) => [code, /"(copse [^"]*)"/.exec(message)?.[1]]).sort(), [
    ['ERR_NAME', 'copse disk rename -- -d NEW'],
    ['ERR_NAME', 'copse image rename -- -i NEW'],
    ['ERR_NAME_CONFLICT', 'copse image rename vm1 NEW'],
  ]);
  t.equal(daemon.stderr.match(/"code":"ERR_NAME_CONFLICT"/g)?.length, 1, 'the log says it at the start');
  t.equal(await firstByte(daemon, 'vm1'), 0x64, 'clients get the disk');
  t.equal(await firstByte(daemon, '-i'), 0x69);
  t.equal(await firstByte(daemon, '-d'), 0x69);
  const xml = await daemon.copse('libvirt', 'xml', 'vm1');
  t.equal(xml.exitCode, 0, xml.stderr);
  t.notMatch(xml.stdout, /<readonly/, 'and so does libvirt: a disk');

  for (const [command, ...names] of [
    ['image', 'vm1', 'old'],
    ['image', '-i', 'i'],
    ['disk', '-d', 'd'],
  ]) {
    const { exitCode, stderr } = await daemon.copseWith([command ?? '', 'rename'], ['--', ...names]);
    t.equal(exitCode, 0, stderr);
  }
  t.same((await control.node.status()).warnings, []);
  await daemon.stop();
  await daemon.start();
  t.same((await control.node.status()).warnings, [], 'and so it is after a restart');
  t.same((await control.images.list()).map(({ name }) => name).sort(), ['base', 'i', 'old']);
  t.same(
    (await control.disks.list()).map(({ name }) => name),
    ['d', 'vm1'],
  );
  for (const [name, value] of [
    ['vm1', 0x64],
    ['d', 0x69],
    ['old', 0x69],
  ] as const)
    t.equal(await firstByte(daemon, name), value, name);
});

t.test('two nodes that agree by etcd make one export of a name', async (t) => {
  const url = await imageFile(t);
  const etcd = await EtcdServer.start();
  t.teardown(() => etcd.stop());
  const nodes = await prepareFleet(t, { at: 2, etcd: etcd.url, images: {} });
  await Promise.all(nodes.map((node) => node.start()));
  await allUp(nodes);
  const [atOne, atTwo] = nodes.map((node) => controlOf(t, node));
  if (atOne === undefined || atTwo === undefined) throw new Error('two nodes');
  const codes = ['ERR_DISK_EXISTS', 'ERR_IMAGE_EXISTS'];
  for (let round = 1; round <= 6; round += 1) {
    const name = `race-${round}`;
    await oneWins(t, name, codes, atOne.images.add({ name, url }), atTwo.disks.create({ name, sizeBytes }));
  }
  await atOne.disks.create({ name: 'vm1', sizeBytes });
  await t.rejects(atTwo.images.add({ name: 'vm1', url }), { code: 'ERR_IMAGE_EXISTS' });
  await atOne.images.add({ name: 'base', url });
  await t.rejects(atTwo.disks.create({ name: 'base', sizeBytes }), { code: 'ERR_DISK_EXISTS' });

  await oneWins(t, 'renamed', codes, atOne.disks.rename('vm1', 'vm2'), atTwo.images.add({ name: 'vm2', url }));
  const [disk = '', free = ''] = (await atOne.disks.list()).some(({ name }) => name === 'vm2') ? ['vm2', 'vm1'] : ['vm1', 'vm3'];
  await until('the other node knows its name', async () => (await atTwo.disks.status(disk)).owner === 'n1');
  await until('the name that it had is free', async () =>
    atTwo.images.add({ name: free, url }).then(
      () => true,
      () => false,
    ),
  );
  for (const control of [atOne, atTwo]) t.same((await control.node.status()).warnings, []);
});

t.test('nodes without etcd that made one name at one time: the older disk has it elsewhere', async (t) => {
  const nodes = await prepareFleet(t, { at: 3, images: {} });
  const [one, two, three] = nodes as [ClusterNode, ClusterNode, ClusterNode];
  const [atOne, atTwo, atThree] = nodes.map((node) => controlOf(t, node)) as [AdminClient, AdminClient, AdminClient];
  // Neither sees the other, so each makes it. The second one is the younger.
  for (const [node, control, value] of [
    [one, atOne, 0x61],
    [two, atTwo, 0x62],
  ] as const) {
    await node.start();
    await control.disks.create({ name: 'vm1', sizeBytes });
    const session = await node.attach('vm1');
    await session.write(0, Buffer.alloc(4096, value));
    session.bytes.destroy();
    await node.stop();
  }
  await Promise.all(nodes.map((node) => node.start()));
  await allUp(nodes);
  for (const [node, control, value] of [
    [one, atOne, 0x61],
    [two, atTwo, 0x62],
    [three, atThree, 0x61],
  ] as const) {
    await until(`${node.id} tells of the conflict`, async () => (await control.node.status()).warnings.length === 1);
    const { warnings } = await control.node.status();
    t.match(warnings, [{ code: 'ERR_NAME_CONFLICT', message: /node n1 has the older one.*"copse disk rename vm1 NEW" on node n2/ }]);
    t.equal(await firstByte(node, 'vm1'), value, `what ${node.id} serves`);
    const listed = (await control.disks.list()).map(({ name, owner, message }) => [name, owner, message?.includes('in conflict') ?? false]);
    t.same(listed.sort(), [
      ['vm1', 'n1', false],
      ['vm1', 'n2', true],
    ]);
  }
  await until('nobody is attached at the younger one', async () => (await atTwo.disks.status('vm1')).connections === 0);
  await atTwo.disks.rename('vm1', 'vm2');
  for (const [node, control] of [
    [one, atOne],
    [two, atTwo],
    [three, atThree],
  ] as const) {
    await until(`${node.id} knows the new name`, async () => (await control.node.status()).warnings.length === 0);
    t.equal(await firstByte(node, 'vm1'), 0x61, `vm1 at ${node.id}`);
    t.equal(await firstByte(node, 'vm2'), 0x62, `vm2 at ${node.id}`);
  }
  // A copied snapshot is refused while a client is attached, and the one at node three is only just gone.
  await until('no client is left', async () => {
    const { connections, remoteConnections } = await atTwo.disks.status('vm2');
    return connections === 0 && remoteConnections.length === 0;
  });
  // A former owner that keeps the disk's files for their snapshot hears of the name with the disk.
  await atTwo.disks.snapshot('vm2', 'before', job);
  await atThree.disks.take('vm2', {});
  await until('all of it has moved', async () => (await atThree.disks.status('vm2')).toCome.length === 0);
  await atThree.disks.rename('vm2', 'vm3');
  await until('the former owner knows the new name', async () => (await atTwo.disks.status('vm3')).owner === 'n3');
  await atTwo.disks.take('vm3', {});
  await two.stop();
  await two.start();
  t.match(await atTwo.disks.status('vm3'), { place: 'owner', snapshots: [{ name: 'before' }] });
  t.equal(await firstByte(two, 'vm3'), 0x62);
  await allUp(nodes);
  // An image of a node is a name that disks of the others can't have.
  const url = await imageFile(t);
  await atOne.images.add({ name: 'base', url });
  await t.rejects(atThree.disks.create({ name: 'base', sizeBytes }), { code: 'ERR_DISK_EXISTS' });
  await t.rejects(atThree.images.add({ name: 'vm1', url }), { code: 'ERR_IMAGE_EXISTS' });
});
