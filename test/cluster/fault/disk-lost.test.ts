/** Owners that do not answer: what waits for them, what is taken without them, and what they may when they come back. */
import t from 'tap';
import { missing } from '../../interop/serving.js';
import { holds, until } from '../../support/wait.js';
import { allUp, atLast, controlOf, guestAt, ownerFile, startDiskFleet, visit } from './disk-fleet.js';

const skip = await missing('qemu-io', '--version');
const eio = /Input\/output error/;
const mebibyte = 2 ** 20;

t.test('two nodes', { skip }, async (t) => {
  const nodes = await startDiskFleet(t, { at: 2 });
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error('two nodes');
  const [atOne, atTwo] = [controlOf(t, one), controlOf(t, two)];
  const down = () => until('the other is down', async () => (await two.member('n1'))?.state === 'down');

  await t.test('an owner that is stopped in the middle of a handover, and goes on', async (t) => {
    const { uuid } = await atOne.disks.create({ name: 'stopped', sizeBytes: 16 * mebibyte });
    t.match(await visit(one, 'stopped', 'write -P 0x11 0 8M', 'flush'), /wrote/);
    await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === 'stopped'));
    const guest = await guestAt(t, two, 'stopped');
    t.match(await guest.do('read -P 0x11 0 4k'), /^read \d/);
    one.signal('SIGSTOP');
    const write = guest.do('write -P 0x22 0 4k');
    await until('the write waits', async () => two.logged(/./).length > 0);
    one.signal('SIGCONT');
    t.match(await write, /^wrote/);
    t.equal(ownerFile(two, uuid)?.state, 'owner');
    t.match(await guest.do('read -P 0x11 4k 8188k'), /^read \d/);
    await guest.quit();
  });

  await t.test('blocks of an old owner that is away are errors, and come back with it', async (t) => {
    await allUp(nodes);
    const { uuid } = await atOne.disks.create({ name: 'away', sizeBytes: 128 * mebibyte, deadlineMs: 1500 });
    t.match(await visit(one, 'away', 'write -P 0x11 0 96M', 'flush'), /wrote/);
    await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === 'away'));
    const guest = await guestAt(t, two, 'away');
    const write = atLast(() => guest.do('write -P 0x22 0 4k'));
    await holds(() => {
      const file = ownerFile(one, uuid);
      return file === undefined || file.to?.accepted === true;
    }, 'it is confirmed');
    await one.kill();
    t.match(await write, /^wrote/);
    const { toCome } = await atTwo.disks.status('away');
    if (toCome.length === 0) t.comment('all of it had moved by then');
    else {
      t.match(toCome, [{ node: 'n1' }]);
      t.match(await guest.do('read 92M 4M'), eio, 'what only the old owner has');
      t.match(await guest.do('write -P 0x23 80M 4k'), /^wrote/, 'a whole block needs nobody');
    }
    t.match(await guest.do('read -P 0x22 0 4k'), /^read \d/, 'what is here');
    await one.start();
    await until('it comes', async () => /^read \d/.test(await guest.do('read -P 0x11 92M 4M')));
    await until('all of it', async () => (await atTwo.disks.status('away')).toCome.length === 0);
    t.match(await guest.do('read -P 0x11 1M 32M'), /^read \d/);
    await guest.quit();
  });

  await t.test('taken by force: says what is lost, and the lost owner does not serve it when it is back', async (t) => {
    await allUp(nodes);
    const { uuid } = await atOne.disks.create({ name: 'lost', sizeBytes: 16 * mebibyte, deadlineMs: 1500 });
    const first = await guestAt(t, one, 'lost');
    t.match(await first.do('write -P 0x11 0 1M'), /^wrote/);
    await first.do('flush');
    await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === 'lost'));
    const guest = await guestAt(t, two, 'lost');
    t.match(await atLast(() => guest.do('read -P 0x11 0 4k')), /^read \d/);
    await t.rejects(
      atOne.disks
        .take('lost', { force: true, acceptLoss: true })
        .then((status) => t.equal(status.epoch, 1))
        .then(() => atTwo.disks.remove('lost')),
      {
        code: 'ERR_NOT_OWNER',
      },
    );
    await one.kill();
    await down();
    await t.rejects(atTwo.disks.take('lost', {}), { code: 'ERR_OWNER_UNREACHABLE' });
    t.match(await atTwo.disks.status('lost'), { place: 'unreachable', owner: 'n1', message: /bring it back/ });
    t.match(await guest.do('write -P 0x22 0 4k'), eio);
    await t.rejects(atTwo.disks.take('lost', { force: true }), { code: 'ERR_DISK_LOSS', message: /n1/ });
    t.equal(ownerFile(two, uuid), undefined);
    t.match(await atTwo.disks.take('lost', { force: true, acceptLoss: true }), { place: 'owner' });
    t.match(await guest.do('read -P 0 0 1M'), /^read \d/, 'what is lost reads as zeros');
    t.match(await guest.do('write -P 0x22 0 4k'), /^wrote/);
    await one.start();
    t.match(await first.do('write -P 0x12 0 4k'), eio, 'its guest does not go on');
    t.match(await first.do('read 0 4k'), eio);
    t.match(await atLast(() => visit(one, 'lost', 'read -P 0x22 0 4k')), /^read \d/, 'who attaches there sees the new owner’s disk');
    await allUp(nodes);
    t.match(await atOne.disks.status('lost'), { place: 'elsewhere', owner: 'n2' });
    await until('the log says it', () => /took this disk by force/.test(one.stderr));
    t.match(await guest.do('read -P 0x22 0 4k'), /^read \d/);
    await first.quit();
    await guest.quit();
    // What lies there may go now, and goes nowhere else.
    await until('nobody is attached', async () => {
      const { connections, remoteConnections } = await atTwo.disks.status('lost');
      return connections === 0 && remoteConnections.length === 0;
    });
    await atOne.disks.remove('lost');
    t.equal(ownerFile(one, uuid), undefined);
    t.equal(ownerFile(two, uuid)?.state, 'owner');
    await atTwo.disks.remove('lost');
  });

  await t.test('a receiver that is lost before it confirms: nobody writes, and force gets the disk back', async (t) => {
    let disk = '';
    let uuid = '';
    for (let attempt = 1; ownerFile(one, uuid) === undefined; attempt += 1) {
      await allUp(nodes);
      disk = `between-${attempt}`;
      ({ uuid } = await atOne.disks.create({ name: disk, sizeBytes: 16 * mebibyte, deadlineMs: 1500 }));
      t.match(await visit(one, disk, 'write -P 0x11 0 1M', 'flush'), /wrote/);
      await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === disk));
      const guest = await guestAt(t, two, disk);
      t.match(await atLast(() => guest.do('read -P 0x11 0 4k')), /^read \d/);
      guest.do('write -P 0x22 0 4k').catch(() => {});
      await holds(() => ownerFile(one, uuid)?.state !== 'owner', 'it is granted');
      await Promise.all([two.kill(), guest.kill()]);
      // Seen so late that all of it had moved: with another disk, then.
      if (ownerFile(one, uuid) === undefined) await two.start();
    }
    if (ownerFile(one, uuid)?.to?.accepted === true) t.comment('it had confirmed by then');
    await until('the other is down', async () => (await one.member('n2'))?.state === 'down');
    const place = (await atOne.disks.status(disk)).place;
    t.ok(['granted', 'unreachable'].includes(place), place);
    t.match(await visit(one, disk, 'write -P 0x33 0 4k'), eio);
    await t.rejects(atOne.disks.take(disk, {}), { code: 'ERR_OWNER_UNREACHABLE' });
    const refusal: { code?: string } = await atOne.disks.remove(disk).catch((error) => error);
    t.match(refusal.code, /^ERR_(NOT_OWNER|OWNER_UNREACHABLE)$/);
    await atOne.disks.take(disk, { force: true, acceptLoss: true });
    t.match(await visit(one, disk, 'read -P 0x11 0 1M', 'write -P 0x33 0 4k'), /^read \d/);
    await two.start();
    t.match(await atLast(() => visit(two, disk, 'read -P 0x33 0 4k', 'read -P 0x11 4k 60k')), /^read \d[^P]*$/);
    t.not(ownerFile(two, uuid)?.state, 'owner');
  });
});
