/** Copies that are made ahead of a handover: what they spare, and that nothing is read of them that is not current. */
import t from 'tap';
import { migrate } from '../../../src/disk/operate/migrate.js';
import { begin, beginWritten, type Play, settle, writeAtFirst } from '../handover/scenario.js';

function copyTo(play: Play, from: string, to: string) {
  const { room } = play;
  const { disk, self } = room.node(from);
  if (disk === undefined) throw new Error('no disk');
  const options = { peers: room.node(from), clock: room.clock, signal: new AbortController().signal, onProgress: () => {} };
  return room.during(migrate(disk, { ...self, ...room.node(to).self }, options));
}

/** How often blocks were asked for since. */
function asked(play: Play, sinceCount: number): string[] {
  return play.room.steps.slice(sinceCount).filter((step) => /(blocks|demand)/.test(step));
}

t.test('a handover to a copy moves what has changed since, and no more', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  t.match(await copyTo(play, 'A', 'B'), { handedOver: false }, 'a client is attached');
  await guest('A').write(40, 8);
  await room.until('a round', () => room.steps.filter((step) => /changes/.test(step)).length > 1);
  await room.pass(1500);
  room.cut = /changes/;
  await guest('A').write(8, 8);
  const before = room.steps.length;
  t.equal(await guest('B').write(120, 8), undefined);
  t.equal(await guest('B').readAll(), undefined);
  await settle(play, 'B');
  t.same(room.wrong, []);
  // The one block that was written since: by the guest who reads it, and by the one who brings it, who may both be on their way.
  t.ok(asked(play, before).length <= 2, asked(play, before).join(', '));
});

t.test('a round that crosses with the handover costs nothing', async (t) => {
  const play = await beginWritten(t, ['A', 'B'], { step: 'B>A disk.handover', fault: 'slow-answer' });
  const { room, guest } = play;
  await copyTo(play, 'A', 'B');
  await guest('A').write(8, 8);
  const before = room.steps.length;
  await guest('B').write(120, 8);
  await room.until('it has moved', () => room.owners().join() === 'B@2');
  const crossed = room.steps.slice(before).filter((step) => /handover|changes/.test(step));
  t.match(crossed.join(', '), /handover, .*changes/, 'rounds went on');
  const after = room.steps.length;
  t.equal(await guest('B').readAll(), undefined);
  await settle(play, 'B');
  t.same(room.wrong, []);
  // The one block that was written since.
  t.ok(asked(play, after).length <= 2, asked(play, after).join(', '));
});

t.test('without clients it is handed over at once', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  guest('A').detach();
  t.match(await copyTo(play, 'A', 'B'), { handedOver: true });
  const before = room.steps.length;
  t.same(room.owners(), ['B@2']);
  await settle(play, 'B');
  t.same(asked(play, before), []);
  t.same(room.wrong, []);
});

t.test('an owner that was restarted knows nothing of changes: the copy is worth nothing', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  await guest('A').flush();
  await copyTo(play, 'A', 'B');
  await room.pass(1500);
  // Between two rounds, so that the copy does not notice.
  room.kill('A');
  await room.restart('A');
  t.equal(await guest('A').write(8, 16), undefined);
  t.equal(await guest('A').flush(), undefined);
  t.equal(await guest('B').write(120, 8), undefined);
  t.equal(await guest('B').readAll(), undefined);
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('of two copies only the later one is followed', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  await copyTo(play, 'A', 'B');
  await copyTo(play, 'A', 'C');
  t.equal(await guest('A').write(8, 16), undefined);
  await room.pass(3000);
  t.equal(await guest('B').write(120, 8), undefined, 'the disk goes to the other one');
  t.equal(await guest('B').readAll(), undefined);
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('a copy on a former owner leaves what only that has', async (t) => {
  const play = begin(t);
  const { room, guest } = play;
  await room.start(['A', 'B', 'C']);
  room.cut = /B>A (blocks|disk.release)|C>\w (blocks|disk.release)/;
  await writeAtFirst(play, 'A');
  // Blocks of A at B, of A and B at C, and then a copy of C's at A.
  t.equal(await guest('B').write(40, 16), undefined);
  t.equal(await guest('C').write(8, 8), undefined);
  t.equal(await guest('C').write(100, 8), undefined);
  t.same(room.owners(), ['C@3']);
  await copyTo(play, 'C', 'A');
  t.equal(await guest('C').readAll(), undefined, 'C reads what A had all the time');
  t.equal(await guest('C').write(16, 4), undefined);
  await room.pass(3000);
  t.equal(await guest('A', 'unix:A:2').write(180, 8), undefined);
  t.same(room.owners(), ['A@4']);
  t.equal(await guest('A', 'unix:A:2').readAll(), undefined);
  await settle(play, 'A');
  t.same(room.wrong, []);
});

t.test('a copy that failed is taken away, and the disk moves without it', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  room.cut = /B>A blocks/;
  await t.rejects(copyTo(play, 'A', 'B'), { code: 'ERR_REPLICA' });
  await room.until('it is gone', () => room.node('B').disk?.hosted === undefined);
  room.cut = undefined;
  t.equal(await guest('B').write(8, 8), undefined);
  await settle(play, 'B');
  t.same(room.wrong, []);
});
