/** Disks of nodes that agree by etcd: one of a name, found by it, and moved without it. */
import t from 'tap';
import { EtcdClient } from '../../../src/base/etcd/client.js';
import { missing } from '../../interop/serving.js';
import { until } from '../../support/wait.js';
import { EtcdServer } from '../etcd-server.js';
import { allUp, controlOf, guestAt, ownerFile, startDiskFleet, visit } from './disk-fleet.js';

const skip = await missing('qemu-io', '--version');
const mebibyte = 2 ** 20;

t.test('two nodes and an etcd', { skip }, async (t) => {
  const etcd = await EtcdServer.start();
  t.teardown(() => etcd.stop());
  const nodes = await startDiskFleet(t, { at: 2, etcd: etcd.url });
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error('two nodes');
  const [atOne, atTwo] = [controlOf(t, one), controlOf(t, two)];

  await t.test('of two that make a disk of one name at once, one does', async (t) => {
    for (let round = 1; round <= 5; round += 1) {
      const request = { name: `race-${round}`, sizeBytes: mebibyte };
      const made = await Promise.allSettled([atOne.disks.create(request), atTwo.disks.create(request)]);
      t.equal(made.filter(({ status }) => status === 'fulfilled').length, 1, request.name);
      t.match(
        made.find(({ status }) => status === 'rejected'),
        { reason: { code: 'ERR_DISK_EXISTS' } },
      );
      const owner = made[0]?.status === 'fulfilled' ? 'n1' : 'n2';
      for (const control of [atOne, atTwo]) {
        await until('both know whose it is', async () =>
          (await control.disks.list()).some(({ name, owner: id }) => name === request.name && id === owner),
        );
      }
    }
  });

  await t.test('handed over while etcd is away, and told to it when it is back', async (t) => {
    const { uuid } = await atOne.disks.create({ name: 'vm', sizeBytes: 8 * mebibyte });
    t.match(await visit(one, 'vm', 'write -P 0x11 0 1M', 'flush'), /wrote/);
    await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === 'vm'));
    const guest = await guestAt(t, two, 'vm');
    t.match(await guest.do('read -P 0x11 0 4k'), /^read \d/);
    await etcd.kill();
    t.match(await guest.do('write -P 0x22 0 4k'), /^wrote/);
    t.equal(ownerFile(two, uuid)?.state, 'owner');
    await until('all of it has moved', () => ownerFile(one, uuid) === undefined);
    await t.rejects(atOne.disks.create({ name: 'other', sizeBytes: mebibyte }), { code: 'ERR_ETCD_UNAVAILABLE' });
    t.match(await guest.do('read -P 0x11 4k 1020k'), /^read \d/);
    await etcd.restart();
    await until('names can be had again', async () => {
      const made = await atOne.disks.create({ name: 'other', sizeBytes: mebibyte }).catch((error: { code?: string }) => error.code);
      return typeof made === 'object' || made === 'ERR_DISK_EXISTS';
    });
    await guest.quit();
    // A node that knows nothing of it but by etcd finds it, and its owner.
    await one.kill();
    await one.start();
    await allUp(nodes);
    await until('it is found', async () => {
      const { place, owner, epoch } = await atOne.disks.status('vm').catch(() => ({ place: '', owner: '', epoch: 0 }));
      return place === 'elsewhere' && owner === 'n2' && epoch === 2;
    });
    t.match(await visit(one, 'vm', 'read -P 0x22 0 4k'), /^read \d/);
    await until('nobody is attached', async () => (await atTwo.disks.status('vm')).remoteConnections.length === 0);
    await atTwo.disks.remove('vm');
    await until('it is gone everywhere', async () => !(await atOne.disks.list()).some(({ name }) => name === 'vm'));
    t.match(await atOne.disks.create({ name: 'vm', sizeBytes: mebibyte }), { place: 'owner' });
  });

  await t.test('taken by force: etcd tells a node that comes back, though the one that took it is away', async (t) => {
    const { uuid } = await atOne.disks.create({ name: 'forced', sizeBytes: mebibyte });
    t.match(await visit(one, 'forced', 'write -P 0x11 0 64k', 'flush'), /wrote/);
    await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === 'forced'));
    await one.kill();
    await until('the other is down', async () => (await two.member('n1'))?.state !== 'up');
    const client = new EtcdClient({ urls: [etcd.url] });
    t.teardown(() => client.close());
    const { epoch } = await atTwo.disks.take('forced', { force: true, acceptLoss: true });
    // Written behind: the node that comes back is to read it there.
    await until('etcd has it', async () => {
      const entry = await client.get('/copse/disks/forced');
      return entry?.value.includes(`"epoch":${epoch}`) ?? false;
    });
    await two.kill();
    await one.start();
    t.not(ownerFile(one, uuid)?.state, 'owner');
    t.match(await atOne.disks.status('forced'), { place: 'unreachable', owner: 'n2' });
    await two.start();
    t.match(await visit(one, 'forced', 'read -P 0 0 64k'), /^read \d/);
  });
});
