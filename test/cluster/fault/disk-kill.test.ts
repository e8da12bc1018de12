/** kill -9 of a disk's old owner, its new one, or both, at each step of a handover that a guest's write began: one owner, no flushed byte lost, and the guest's write is done. */
import t from 'tap';
import { missing } from '../../interop/serving.js';
import { holds, until } from '../../support/wait.js';
import { allUp, controlOf, guestAt, ownerFile, startDiskFleet, visit, watchOwners } from './disk-fleet.js';

const skip = await missing('qemu-io', '--version');
const eio = /Input\/output error/;

t.test('each step of a handover', { skip }, async (t) => {
  const nodes = await startDiskFleet(t, { at: 2 });
  const [source, destination] = nodes;
  if (source === undefined || destination === undefined) throw new Error('two nodes');
  const [atSource, atDestination] = [controlOf(t, source), controlOf(t, destination)];
  const steps = {
    // Or after it: who is held up for a moment finds more of it done, and must not wait for what has passed.
    'it is granted': (uuid: string) => ownerFile(source, uuid)?.state !== 'owner',
    'it is accepted': (uuid: string) => ownerFile(destination, uuid)?.state === 'owner',
  };
  const victims = { source: [source], destination: [destination], both: [source, destination] };
  for (const [step, isSo] of Object.entries(steps)) {
    for (const [who, killed] of Object.entries(victims)) {
      await t.test(`${who} killed when ${step}`, async (t) => {
        const disk = `${step} ${who}`.replaceAll(/\W+/g, '-');
        const { uuid } = await atSource.disks.create({ name: disk, sizeBytes: 16 * 2 ** 20 });
        const first = await guestAt(t, source, disk);
        t.match(await first.do('write -P 0x11 0 8M'), /^wrote/);
        await first.do('flush');
        t.match(await first.do('write -P 0x12 8M 64k'), /^wrote/);
        await until('the destination knows it', async () => (await atDestination.disks.list()).some(({ name }) => name === disk));
        const second = await guestAt(t, destination, disk);
        t.match(await second.do('read -P 0x11 1M 64k'), /^read/);

        const owners = watchOwners(nodes, uuid);
        const write = second.do('write -P 0x21 6k 10k');
        await holds(() => isSo(uuid), step);
        await Promise.all(killed.map((node) => node.kill()));
        await Promise.all(killed.map((node) => node.start()));
        t.match(await write, /^wrote/, 'the write is done, once all are there');
        t.match(await first.do('write -P 0x13 0 4k'), eio, 'the first guest does not write any more');
        t.match(await first.do('read 0 4k'), eio, 'nor read');
        t.same(owners(), [], 'two owners');

        for (const read of ['-P 0x11 0 6k', '-P 0x21 6k 10k', '-P 0x11 16k 8176k', '-P 0x12 8M 64k', '-P 0 8256k 4M']) {
          t.match(await second.do(`read ${read}`), /^read \d/, read);
        }
        t.match(await visit(source, disk, 'read -P 0x21 6k 10k'), /^read \d/, 'as the old owner shows it');
        await until('all of it has moved', () => ownerFile(source, uuid) === undefined);
        t.match(await second.do('read -P 0x11 16k 8176k'), /^read \d/);
        t.match(await atDestination.disks.status(disk), { place: 'owner', toCome: [] });
        await allUp(nodes);
        await first.quit();
        await second.quit();
      });
    }
  }
});
