/** The link between two nodes of a disk is cut at each step of a handover, both ways and one way: guests wait, and all is done when it is back. Network namespaces need root. */
import t from 'tap';
import { missing } from '../../interop/serving.js';
import { Lab } from '../../lab/lab.js';
import { holds, until } from '../../support/wait.js';
import { allUp, controlOf, guestAt, ownerFile, startDiskFleet, visit, watchOwners } from './disk-fleet.js';

const skip = await missing('qemu-io', '--version');
const eio = /Input\/output error/;
const mebibyte = 2 ** 20;

t.test('each step of a handover', { skip }, async (t) => {
  const unavailable = await Lab.unavailable();
  if (unavailable !== undefined) throw new Error(`links can't be cut here: ${unavailable}`);
  const lab = await Lab.start({ hostCount: 2, hostBitsPerSecond: 0, originBitsPerSecond: 0, originLatencyMs: 0 });
  t.teardown(() => lab.close());
  const [placeOne, placeTwo] = lab.hosts;
  const nodes = await startDiskFleet(t, { at: lab.hosts });
  const [one, two] = nodes;
  if (one === undefined || two === undefined || placeOne === undefined || placeTwo === undefined) throw new Error('two nodes');
  const [atOne, atTwo] = [controlOf(t, one), controlOf(t, two)];
  const links = {
    'both ways': [
      [placeOne, placeTwo],
      [placeTwo, placeOne],
    ],
    'from the old owner': [[placeOne, placeTwo]],
    'to the old owner': [[placeTwo, placeOne]],
  } as const;
  const steps = {
    'before it begins': () => true,
    // Or after it: who is held up for a moment finds more of it done, and must not wait for what has passed.
    'when it is granted': (uuid: string) => ownerFile(one, uuid)?.state !== 'owner',
    'when it is accepted': (uuid: string) => ownerFile(two, uuid)?.state === 'owner',
  };
  for (const [step, isSo] of Object.entries(steps)) {
    for (const [way, cuts] of Object.entries(links)) {
      await t.test(`cut ${step}, ${way}`, async (t) => {
        const disk = `${step} ${way}`.replaceAll(/\W+/g, '-');
        const { uuid } = await atOne.disks.create({ name: disk, sizeBytes: 16 * mebibyte });
        t.match(await visit(one, disk, 'write -P 0x11 0 8M', 'flush'), /wrote/);
        await until('it is known', async () => (await atTwo.disks.list()).some(({ name }) => name === disk));
        const first = await guestAt(t, one, disk);
        t.match(await first.do('write -P 0x12 8M 64k'), /^wrote/);
        const guest = await guestAt(t, two, disk);
        t.match(await guest.do('read -P 0x11 0 4k'), /^read \d/);
        const owners = watchOwners(nodes, uuid);
        const cut = () => Promise.all(cuts.map(([from, to]) => lab.cut(from, to)));
        if (step === 'before it begins') await cut();
        const write = guest.do('write -P 0x22 4k 8k');
        if (step !== 'before it begins') {
          await holds(() => isSo(uuid), step);
          await cut();
        }
        // Either has lost sight of the other by then, and of the handover.
        await until('they do not see each other', async () => (await two.member('n1'))?.state === 'down');
        await Promise.all(cuts.map(([from, to]) => lab.restore(from, to)));
        t.match(await write, /^wrote/);
        t.match(await first.do('write -P 0x33 0 4k'), eio);
        t.same(owners(), [], 'two owners');
        for (const read of ['-P 0x11 0 4k', '-P 0x22 4k 8k', '-P 0x11 12k 8180k', '-P 0x12 8M 64k'])
          t.match(await guest.do(`read ${read}`), /^read \d/, read);
        await allUp(nodes);
        await until('all of it has moved', () => ownerFile(one, uuid) === undefined);
        await guest.quit();
        await first.quit();
      });
    }
  }
});
