/** Handovers that cross: each of these once made, or could make, two owners, lost blocks or wrong bytes. */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { holds } from '../../support/wait.js';
import { begin, beginWritten, isSettled, settle, writeAtFirst } from './scenario.js';

t.test('what was refused is not accepted, though the old owner does not know yet', async (t) => {
  const play = begin(
    t,
    { step: 'B>A map', fault: 'request-lost' },
    { step: 'B>A map#2', fault: 'request-lost' },
    { step: 'A>B disk.resolve', fault: 'slow-answer' },
  );
  const { room, guest } = play;
  await room.start(['A', 'B']);
  await writeAtFirst(play, 'A');
  const short = guest('B', 'unix:short:1', 1);
  t.type(await short.write(8, 8), 'string');
  await room.until('the old owner asks', () => room.steps.includes('A>B disk.resolve'));
  await room.until('the promise is made', () => room.node('B').notes.refusedEpoch(room.uuid) === 2);
  // Another guest, who waits until all is well again.
  t.equal(await guest('B', 'unix:long:1', 60_000).write(8, 8), undefined);
  t.same(room.owners(), ['B@4']);
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('A to B to C before the blocks have moved', async (t) => {
  const play = begin(t);
  const { room, guest } = play;
  await room.start(['A', 'B', 'C']);
  room.cut = />\w (blocks|disk.release)/;
  await writeAtFirst(play, 'A');
  t.equal(await guest('B').write(40, 30), undefined);
  t.equal(await guest('B').flush(), undefined);
  t.equal(await guest('C').write(9, 2), undefined);
  t.same(room.owners(), ['C@3']);
  t.same(
    room
      .node('C')
      .disk?.hosted?.toCome()
      .map(({ node }) => node)
      .sort(),
    ['A', 'B'],
    'it knows who has what',
  );
  const before = room.steps.length;
  t.equal(await guest('C').readAll(), undefined);
  const asked = room.steps.slice(before).filter((step) => /demand/.test(step));
  t.ok(
    asked.some((step) => step.startsWith('C>A')) &&
      asked.some((step) => step.startsWith('C>B')) &&
      !asked.some((step) => step.startsWith('B>')),
    asked.join(', '),
  );
  await settle(play, 'C');
  t.same(room.wrong, []);
});

t.test('A to B and back before the blocks have moved', async (t) => {
  const play = begin(t);
  const { room, guest } = play;
  await room.start(['A', 'B']);
  room.cut = />\w (blocks|demand|disk.release)/;
  await writeAtFirst(play, 'A');
  t.equal(await guest('B').write(40, 32), undefined);
  t.equal(await guest('A', 'unix:A:2').write(100, 8), undefined, 'a new client of A');
  t.same(room.owners(), ['A@3']);
  // What A kept is there, what B wrote is not.
  t.equal(await guest('A', 'unix:A:2').read(0, 32), undefined);
  t.equal(await guest('A', 'unix:A:2').read(48, 4), 'ERR_BLOCKS_AWAY');
  room.cut = undefined;
  t.equal(await guest('A', 'unix:A:2').readAll(), undefined);
  t.equal(await guest('A').write(0, 1), 'ERR_FENCED', 'the first client of A stays fenced');
  await settle(play, 'A');
  t.same(room.wrong, []);
});

t.test('the old owner is away: its blocks are errors, and come back with it', async (t) => {
  const play = begin(t);
  const { room, guest } = play;
  await room.start(['A', 'B']);
  room.cut = />\w blocks/;
  await writeAtFirst(play, 'A');
  t.equal(await guest('B').write(0, 8), undefined);
  room.kill('A');
  t.equal(await guest('B').read(0, 8), undefined, 'what is here');
  t.equal(await guest('B').read(16, 8), 'ERR_BLOCKS_AWAY');
  t.equal(await guest('B').write(17, 1), 'ERR_BLOCKS_AWAY', 'a part of a block that is away');
  t.equal(await guest('B').write(24, 8), undefined, 'a whole block needs nobody');
  await room.restart('A');
  t.equal(await guest('B').readAll(), undefined);
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('an old owner comes back when the disk has gone on, and is gone from where it was handed to', async (t) => {
  const play = begin(t, { step: 'B>A disk.accepted', fault: 'kill-asked-before' });
  const { room, guest } = play;
  await room.start(['A', 'B', 'C']);
  await guest('A').write(0, 8);
  await guest('A').flush();
  // All that A had is written anew, so that nobody needs it.
  t.equal(await guest('B').write(0, 64), undefined);
  t.equal(await guest('C').write(64, 8), undefined);
  await room.until('B has let go of it', () => room.node('B').disk?.hosted === undefined);
  t.same(room.node('A').nextDir === undefined, false);
  await room.restart('A');
  await room.until('A knows', () => isSettled(room));
  t.same(room.owners(), ['C@3']);
  await settle(play, 'C');
  t.same(room.wrong, []);
});

t.test('a release that is on its way when its receiver takes the disk back', async (t) => {
  for (const fault of ['slow-request', 'late', 'twice', 'slow-answer'] as const) {
    const play = await beginWritten(t, ['A', 'B'], { step: 'B>A disk.release', fault });
    const { room, guest } = play;
    t.equal(await guest('B').write(40, 30), undefined);
    await room.until('the release is on its way', () => room.steps.includes('B>A disk.release'));
    t.equal(await guest('A', 'unix:A:2', 60_000).write(100, 8), undefined);
    t.equal(await guest('A', 'unix:A:2', 60_000).flush(), undefined);
    await settle(play, 'A');
    t.same(room.wrong, [], fault);
  }
});

t.test('the last client leaves while its node takes over', async (t) => {
  const play = await beginWritten(t, ['A', 'B'], { step: 'B>A map', fault: 'slow-request' });
  const { room, guest } = play;
  const wrote = guest('B').write(8, 8);
  await room.until('the map is asked for', () => room.steps.includes('B>A map'));
  guest('B').detach();
  await wrote;
  await room.until('it is finished or undone', () => isSettled(room));
  // The map has arrived by then.
  await room.pass(5000);
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('no read fails in the middle of a handover', async (t) => {
  const play = await beginWritten(
    t,
    ['A', 'B', 'C'],
    { step: 'B>A map', fault: 'slow-request' },
    { step: 'B>A disk.accepted', fault: 'slow-request' },
  );
  const { room, guest } = play;
  await guest('C').readAll();
  const wrote = guest('B', 'unix:B:1', 60_000).write(8, 8);
  await room.until('it is granted', () => room.owners().length === 0);
  t.same(await Promise.all([guest('B', 'unix:B:2', 60_000).readAll(), guest('C', 'unix:C:2', 60_000).readAll(), wrote]), [
    undefined,
    undefined,
    undefined,
  ]);
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('an undone handover lifts the fences that it made, and no other', async (t) => {
  for (const restarted of [false, true]) {
    const maps = Array.from({ length: 30 }, (_, index) => ({
      step: index === 0 ? 'B>A map' : `B>A map#${index + 1}`,
      fault: 'request-lost' as const,
    }));
    const play = begin(t, ...maps);
    const { room, guest } = play;
    await room.start(['A', 'B']);
    t.equal(await guest('A', 'unix:first:1').write(0, 8), undefined);
    t.equal(await guest('A', 'unix:second:1').write(8, 8), undefined);
    t.equal(await guest('A', 'unix:first:1').write(0, 8), 'ERR_FENCED');
    t.type(await guest('B').write(16, 8), 'string');
    if (restarted) room.kill('A');
    await room.restartAll();
    await room.until('it is undone', () => room.owners().length === 1);
    t.match(room.owners(), [/^A@[3-9]/]);
    t.equal(await guest('A', 'unix:second:1').write(8, 8), undefined);
    t.equal(await guest('A', 'unix:first:1').write(0, 8), 'ERR_FENCED');
    t.same(room.wrong, []);
  }
});

t.test('a release that arrives in the middle of its receiver taking the disk back', async (t) => {
  const play = begin(t, { step: 'A>B map', fault: 'slow-request' });
  const { room, guest } = play;
  await room.start(['A', 'B']);
  room.cut = />\w (blocks|disk.release)/;
  await writeAtFirst(play, 'A');
  t.equal(await guest('B').write(40, 32), undefined);
  const wrote = guest('A', 'unix:A:2', 60_000).write(100, 8);
  await room.until('the map is asked for', () => room.steps.includes('A>B map'));
  await t.rejects(room.node('A').service.call('disk.release', { uuid: room.uuid, epoch: 2 }, { caller: room.node('B').self }), {
    code: 'ERR_NOT_OWNER',
  });
  t.equal(await wrote, undefined);
  await settle(play, 'A');
  t.same(room.wrong, []);
});

t.test('what is under way at the old owner is awaited before it hands over', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  const { gate } = room.node('A').disk ?? {};
  gate?.enter();
  const wrote = guest('B', 'unix:B:1', 60_000).write(8, 8);
  await holds(() => gate?.isOpen === false);
  for (let count = 0; count < 100; count += 1) await turn();
  t.same(room.owners(), ['A@1']);
  gate?.leave();
  t.equal(await wrote, undefined);
  t.same(room.owners(), ['B@2']);
  await settle(play, 'B');
  t.same(room.wrong, []);
});
