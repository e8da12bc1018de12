/** What operators and guests are refused, and what moves a disk: two and three nodes on the loopback, with real clients. */
import t from 'tap';
import { missing } from '../../interop/serving.js';
import { until } from '../../support/wait.js';
import { allUp, controlOf, givenBytes, guestAt, ownerFile, startDiskFleet, visit } from './disk-fleet.js';

const skip = await missing('qemu-io', '--version');
const eio = /Input\/output error/;
const mebibyte = 2 ** 20;
const job = { signal: new AbortController().signal, onProgress: () => {} };

t.test('three nodes', { skip }, async (t) => {
  const nodes = await startDiskFleet(t, { at: 3 });
  const [one, two, three] = nodes;
  if (one === undefined || two === undefined || three === undefined) throw new Error('three nodes');
  const [atOne, atTwo, atThree] = [controlOf(t, one), controlOf(t, two), controlOf(t, three)];
  const known = (control: typeof atOne, disk: string) =>
    until(`${disk} is known`, async () => (await control.disks.list()).some(({ name }) => name === disk));

  await t.test('two clients on one disk, at two nodes: the first is stopped, also after both daemons were restarted', async (t) => {
    await atOne.disks.create({ name: 'twice', sizeBytes: 4 * mebibyte });
    const first = await guestAt(t, one, 'twice');
    t.match(await first.do('write -P 0x11 0 64k'), /^wrote/);
    await first.do('flush');
    await known(atTwo, 'twice');
    const second = await guestAt(t, two, 'twice');
    t.match(await second.do('write -P 0x22 0 4k'), /^wrote/);
    t.match(await first.do('write -P 0x33 0 4k'), eio);
    t.match(await first.do('read 0 4k'), eio);
    await Promise.all([one.kill(), two.kill()]);
    await Promise.all([one.start(), two.start()]);
    t.match(await first.do('write -P 0x33 0 4k'), eio, 'the first comes before the second');
    t.match(await second.do('write -P 0x23 4k 4k'), /^wrote/);
    t.match(await first.do('write -P 0x33 0 4k'), eio);
    const { place, fences } = await atTwo.disks.status('twice');
    t.equal(place, 'owner');
    t.same(fences, []);
    t.match((await atOne.disks.status('twice')).fences, [{ client: RegExp(`unix:${first.pid}:`) }]);
    for (const read of ['-P 0x22 0 4k', '-P 0x23 4k 4k', '-P 0x11 8k 56k']) t.match(await second.do(`read ${read}`), /^read \d/);
    // By an operator's word it is the first one's again, and the second is stopped.
    await atOne.disks.take('twice', {});
    t.match(await first.do('write -P 0x34 0 4k'), /^wrote/);
    t.match(await second.do('write -P 0x33 0 4k'), eio);
    await first.quit();
    await second.quit();
  });

  await t.test('handed over explicitly: a write elsewhere fails, take and migrate move it', async (t) => {
    await allUp(nodes);
    const { uuid } = await atOne.disks.create({ name: 'explicit', sizeBytes: 4 * mebibyte, handover: 'explicit' });
    t.match(await visit(one, 'explicit', 'write -P 0x11 0 64k', 'flush'), /wrote/);
    await known(atTwo, 'explicit');
    const guest = await guestAt(t, two, 'explicit');
    t.match(await guest.do('read -P 0x11 0 64k'), /^read \d/);
    t.match(await guest.do('write -P 0x22 0 4k'), eio);
    t.equal(ownerFile(one, uuid)?.state, 'owner');
    t.match(await atTwo.disks.take('explicit', {}), { place: 'owner', from: 'n1' });
    t.match(await guest.do('write -P 0x22 0 4k'), /^wrote/);
    await guest.quit();
    await until('nobody is attached', async () => (await atTwo.disks.status('explicit')).connections === 0);
    await allUp(nodes);
    t.match(await atTwo.disks.migrate('explicit', 'n3', job), { handedOver: true });
    t.match(await visit(three, 'explicit', 'read -P 0x22 0 4k', 'read -P 0x11 4k 60k'), /^read \d[^P]*$/);
  });

  await t.test('refused while clients are attached, here or elsewhere', async (t) => {
    await atOne.disks.create({ name: 'busy', sizeBytes: 4 * mebibyte });
    t.match(await visit(one, 'busy', 'write -P 0x11 0 64k', 'flush'), /wrote/);
    await until('nobody is attached', async () => (await atOne.disks.status('busy')).connections === 0);
    await atOne.disks.snapshot('busy', 'before', job);
    await known(atTwo, 'busy');
    for (const node of [one, two]) {
      const guest = await guestAt(t, node, 'busy');
      t.match(await guest.do('read -P 0x11 0 4k'), /^read \d/);
      const inUse = { code: 'ERR_DISK_IN_USE' };
      await t.rejects(atOne.disks.remove('busy'), inUse, `rm with a client at ${node.id}`);
      await t.rejects(atOne.disks.resize('busy', 8 * mebibyte), inUse, 'resize');
      await t.rejects(atOne.disks.revert('busy', 'before', job), inUse, 'revert');
      await t.rejects(atOne.disks.promote('busy', 'golden', job), inUse, 'promote');
      await guest.quit();
      const isLeft = async (): Promise<boolean> => {
        const { connections, remoteConnections } = await atOne.disks.status('busy');
        return connections === 0 && remoteConnections.length === 0;
      };
      await until('nobody is attached', isLeft);
    }
    const notOwner = { code: 'ERR_NOT_OWNER' };
    await t.rejects(atTwo.disks.remove('busy'), notOwner);
    await t.rejects(atTwo.disks.resize('busy', 8 * mebibyte), notOwner);
    await t.rejects(atTwo.disks.snapshot('busy', 'other', job), notOwner);
    await t.rejects(atTwo.disks.revert('busy', 'before', job), notOwner);
    // And when nobody is: a guest elsewhere sees the new size.
    await atOne.disks.resize('busy', 8 * mebibyte);
    t.match(await visit(two, 'busy', 'length', 'read -P 0x11 0 64k', 'write -P 0x44 7M 4k'), /^8 MiB/);
    t.equal((await atTwo.disks.status('busy')).sizeBytes, 8 * mebibyte);
    await until('its blocks have moved', async () => (await atTwo.disks.status('busy')).toCome.length === 0);
    const isLeft = async (): Promise<boolean> => (await atTwo.disks.status('busy')).connections === 0;
    await until('nobody is attached', isLeft);
    await t.rejects(atTwo.disks.revert('busy', 'before', job), { code: 'ERR_NO_SUCH_SNAPSHOT' });
    // The old copy stays for its snapshot, and may go.
    await until('it is not needed', async () => (await atOne.disks.status('busy')).snapshots.length === 1);
    await until('it can be removed', () =>
      atOne.disks.remove('busy').then(
        () => true,
        () => false,
      ),
    );
    t.match(await visit(two, 'busy', 'read -P 0x44 7M 4k', 'read -P 0x11 0 64k'), /^read \d[^P]*$/);
    await until('nobody is attached', isLeft);
    await atTwo.disks.remove('busy');
    for (const control of [atOne, atTwo, atThree]) {
      await until('it is gone everywhere', async () => !(await control.disks.list()).some(({ name }) => name === 'busy'));
    }
    t.equal((await atThree.disks.create({ name: 'busy', sizeBytes: mebibyte })).place, 'owner', 'the name is free');
  });

  await t.test('migrated with its guest running: the handover moves only the rest', async (t) => {
    const { uuid } = await atOne.disks.create({ name: 'moving', sizeBytes: 64 * mebibyte });
    const first = await guestAt(t, one, 'moving');
    t.match(await first.do('write -P 0x11 0 24M'), /^wrote/);
    await allUp(nodes);
    t.match(await atOne.disks.migrate('moving', 'n2', job), { handedOver: false });
    const ahead = await givenBytes(one);
    t.ok(ahead >= 24 * mebibyte, `${ahead} bytes ahead`);
    t.match(await atOne.disks.status('moving'), { place: 'owner', replica: { node: 'n2' } });
    t.match(await first.do('write -P 0x12 4M 1M'), /^wrote/);
    const second = await guestAt(t, two, 'moving');
    t.match(await second.do('write -P 0x22 6M 4k'), /^wrote/);
    await until('all of it has moved', () => ownerFile(one, uuid) === undefined);
    for (const read of ['-P 0x11 0 4M', '-P 0x12 4M 1M', '-P 0x11 5M 1M', '-P 0x22 6M 4k', '-P 0x11 7M 17M', '-P 0 24M 4M']) {
      t.match(await second.do(`read ${read}`), /^read \d/, read);
    }
    t.match(await atTwo.disks.status('moving'), { place: 'owner', toCome: [], overlay: { dataBytes: 24 * mebibyte } });
    await first.quit();
    await second.quit();
  });

  await t.test('an owner restarts under a guest that is attached elsewhere, and under one whose blocks it still has', async (t) => {
    await atOne.disks.create({ name: 'ride', sizeBytes: 32 * mebibyte });
    t.match(await visit(one, 'ride', 'write -P 0x11 0 16M', 'flush'), /wrote/);
    await known(atTwo, 'ride');
    const guest = await guestAt(t, two, 'ride');
    t.match(await guest.do('read -P 0x11 0 4k'), /^read \d/);
    await one.kill();
    const read = guest.do('read -P 0x11 1M 4k');
    await one.start();
    t.match(await read, /^read \d/, 'a read waits for the owner');
    await one.kill();
    const write = guest.do('write -P 0x22 2M 4k');
    await one.start();
    t.match(await write, /^wrote/, 'so does the write that takes the disk over');
    await one.kill();
    const rest = guest.do('read -P 0x11 3M 13M');
    await one.start();
    t.match(await rest, /^read \d/, 'and so do blocks that are there alone');
    await guest.quit();
  });

  await t.test('drained: its disks go, and it has none of their blocks', async (t) => {
    await allUp(nodes);
    const before = (await atThree.disks.list()).filter(({ place }) => place === 'owner').map(({ name }) => name);
    const { uuid } = await atThree.disks.create({ name: 'drained', sizeBytes: 8 * mebibyte });
    t.match(await visit(three, 'drained', 'write -P 0x11 0 4M', 'flush'), /wrote/);
    await until('nobody is attached', async () => (await atThree.disks.status('drained')).connections === 0);
    await allUp(nodes);
    await atThree.node.drain(job);
    t.equal(ownerFile(three, uuid), undefined);
    t.same(
      (await atThree.disks.list()).filter(({ place }) => place === 'owner'),
      [],
      `${before.join(' ')} have gone, too`,
    );
    const owner = nodes.find((node) => ownerFile(node, uuid)?.state === 'owner');
    if (owner === undefined) throw new Error('nobody owns it');
    t.match(await visit(owner, 'drained', 'read -P 0x11 0 4M'), /^read \d/);
    await atThree.node.undrain();
  });
});
