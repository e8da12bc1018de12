/**
 * A node believes a disk's epoch along the chain of grants, or by the record of a force, and by
 * nothing else.
 */
import t from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import type { EtcdDiskIndex } from '../../../src/disk/knowledge/etcd-index.js';
import type { KnownDisk } from '../../../src/disk/knowledge/known-disks.js';
import { takeByForce } from '../../../src/disk/operate/force.js';
import { renameDisk } from '../../../src/disk/operate/rename.js';
import type { DiskMethod } from '../../../src/disk/protocol/call.js';
import { begin, beginWritten, isSettled, type Play, settle } from '../handover/scenario.js';

/** As an operator at the node does it, when the owner is lost. */
async function force({ room }: Play, id: string): Promise<void> {
  const { registry } = room.node(id);
  const disk = await room.during(registry.require('vm'));
  await room.during(takeByForce(disk, { registry, selfId: id, acceptLoss: true, log: silentLogger }));
}

function call({ room }: Play, from: string, to: string, method: DiskMethod, argument: object): Promise<unknown> {
  return room.during(room.node(to).service.call(method, { uuid: room.uuid, ...argument }, { caller: room.node(from).self }));
}

t.test('a claim that nobody granted holds writes back, and fences nobody', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  room.node('C').claims.push({ uuid: room.uuid, epoch: 1_000_000 });
  const look = room.node('A').watch.look();
  t.equal(room.node('A').disk?.gate.isOpen, false, 'from the first moment on');
  await room.during(look);
  await room.until('the gate is open again', () => room.node('A').disk?.gate.isOpen === true);
  t.same(room.owners(), ['A@1']);
  t.equal(await guest('A').write(0, 8), undefined);
  room.node('C').claims[0] = { uuid: room.uuid, epoch: 2_000_000 };
  const again = room.node('A').watch.look();
  t.equal(room.node('A').disk?.gate.isOpen, true, 'a node whose claim failed does not hold the disk up again');
  await room.during(again);
  await t.rejects(call(play, 'C', 'A', 'disk.release', { epoch: 2_000_000 }), { code: 'ERR_NOT_OWNER' });
  t.same(room.owners(), ['A@1']);
  room.node('C').claims.length = 0;
  t.equal(await guest('B').write(0, 8), undefined, 'and it moves as ever');
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('a claim whose node does not answer when it is asked back', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  room.node('C').claims.push({ uuid: room.uuid, epoch: 1_000_000 });
  room.cut = /A>C /;
  await room.during(room.node('A').watch.look());
  t.equal(room.node('A').disk?.gate.isOpen, false);
  await room.until('it has failed', () => room.node('A').disk?.gate.isOpen === true);
  t.same(room.owners(), ['A@1']);
  t.equal(await guest('A').write(0, 8), undefined);
  t.same(room.wrong, []);
});

t.test('taken by force: the record deposes the owner', async (t) => {
  for (const witness of ['the taker', 'a third node', 'the third node, which was away']) {
    await t.test(`as ${witness} tells`, async (t) => {
      const play = await beginWritten(t, ['A', 'B', 'C']);
      const { room, guest } = play;
      room.kill('A');
      if (witness === 'the third node, which was away') room.kill('C');
      await force(play, 'B');
      t.same(room.owners(), ['A@1', 'B@1001']);
      if (!room.node('C').alive) await room.restart('C');
      await room.until('C has noted it', () => room.node('C').notes.forceOf(room.uuid)?.to === 1001);
      // The model of the disk does not know what a force loses.
      room.wrong.length = 0;
      if (witness !== 'the taker') room.kill('B');
      await room.restart('A');
      room.wrong.length = 0;
      await room.during(room.node('A').watch.look());
      t.match(room.node('A').disk?.hosted?.state, { state: 'granted', epoch: 1, to: { id: 'B', accepted: true, free: true } });
      if (witness !== 'the taker') t.not(await guest('A', 'unix:A:2', 1).write(0, 8), undefined);
      await room.restartAll();
      t.same(room.owners(), ['B@1001']);
      // The record goes with the disk.
      t.equal(await guest('C', 'unix:C:1', 60_000).write(0, 8), undefined);
      t.match(room.node('C').disk?.hosted?.state, {
        state: 'owner',
        epoch: 1002,
        forced: { to: 1001, node: { id: 'B' } },
        by: { id: 'B' },
      });
    });
  }
});

t.test('a disk that moved on after it was taken by force, while its taker does not answer', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  room.kill('A');
  await force(play, 'B');
  t.equal(await guest('C', 'unix:C:1', 60_000).write(0, 8), undefined);
  await room.until('C has all of it', () => room.node('B').disk?.hosted === undefined);
  await room.restart('A');
  room.wrong.length = 0;
  await room.during(room.node('A').watch.look());
  t.equal(room.node('A').disk?.isOwner, false, 'B has let go of the disk, and says to whom');
  t.same(room.owners(), ['C@1002']);
});

t.test('a disk that moved on after it was taken by force, while its taker is away', async (t) => {
  for (const isComplete of [true, false]) {
    for (const sleeps of [true, false]) {
      await t.test(`${isComplete ? 'released' : 'needed'} there, its owner ${sleeps ? 'slept' : 'was away'}`, async (t) => {
        const play = await beginWritten(t, ['A', 'B', 'C']);
        const { room, guest } = play;
        const owner = room.node('A');
        if (sleeps) owner.alive = false;
        else room.kill('A');
        await force(play, 'B');
        t.equal(await guest('C', 'unix:C:1', 60_000).write(0, 8), undefined);
        if (isComplete) await room.until('C has all of it', () => room.node('B').disk?.hosted === undefined);
        room.kill('B');
        if (sleeps) owner.alive = true;
        else await room.restart('A');
        const look = room.node('A').watch.look();
        await room.during(look);
        await room.pass(1000);
        t.equal(room.node('A').disk?.isOwner, false, 'the new owner has the record of the force');
        t.same(room.owners(), ['C@1002']);
      });
    }
  }
});

t.test('an index tells of a force, while no node after it answers', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  room.kill('A');
  await force(play, 'B');
  t.equal(await guest('C', 'unix:C:1', 60_000).write(0, 8), undefined);
  const { record, hosted } = room.node('C').disk ?? {};
  const owner = room.node('C').self;
  room.kill('B');
  room.kill('C');
  await room.restart('A');
  t.equal(room.node('A').disk?.isOwner, true);
  if (record === undefined) throw new Error('C has the disk');
  room.node('A').registry.options.known.offer({ record, owner, epoch: 1002, dataBytes: 0, forced: hosted?.state.forced });
  await room.during(room.node('A').watch.look());
  t.equal(room.node('A').disk?.isOwner, false);
  t.same(room.owners(), ['C@1002']);
});

t.test('a disk that was taken by force keeps its record in the index under another name', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room } = play;
  room.kill('A');
  await force(play, 'B');
  const claimed: KnownDisk[] = [];
  const parts = { claim: async (disk: KnownDisk) => void claimed.push(disk), made: () => {}, remove: async () => {} };
  const { registry, disk } = room.node('B');
  if (disk === undefined) throw new Error('B has the disk');
  const index = parts as unknown as EtcdDiskIndex;
  await room.during(renameDisk(disk, 'renamed', { registry, index, refuseUsed: () => {} }));
  t.match(claimed, [{ record: { name: 'renamed' }, epoch: 1001, forced: { to: 1001, node: { id: 'B' } } }]);
  t.equal(registry.byName('renamed'), disk);
  t.equal(registry.byName('vm'), undefined);
});

t.test('a record of force that its node does not have is not noted', async (t) => {
  const play = begin(t);
  const { room } = play;
  await room.start(['A', 'B', 'C']);
  const record = { from: 1, to: 1002, node: room.node('C').self, at: '2026-11-22T10:00:00.000Z' };
  await t.rejects(call(play, 'C', 'B', 'disk.forced', { force: record }), { code: 'ERR_NOT_OWNER' });
  await t.rejects(call(play, 'B', 'A', 'disk.forced', { force: record }), { code: 'ERR_CALLER' });
  t.equal(room.node('B').notes.forceOf(room.uuid), undefined);
});

t.test('a node that slept through twenty moves believes the last one, and nothing while a node of the chain is away', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  room.cut = />A disk.release/;
  for (let move = 0; move < 20; move += 1) {
    const id = move % 2 === 0 ? 'B' : 'C';
    t.equal(await guest(id, `unix:${id}:${move}`, 60_000).write(move, 1), undefined);
    if (move === 0) {
      await room.until('all of it has left A', () => room.node('B').disk?.hosted?.overlay.remoteBytes === 0);
      room.kill('A');
    }
  }
  t.same(room.owners(), ['C@21']);
  await room.until('B keeps nothing of it', () => room.node('B').disk?.hosted === undefined);
  t.match(room.node('B').notes.grantOf(room.uuid), { epoch: 20, to: { id: 'C' } }, 'but to whom it went');
  await room.restart('A');
  t.match(room.node('A').disk?.hosted?.state, { state: 'granted', epoch: 1 });
  room.cut = /(>A disk.release|A>B )/;
  await t.rejects(call(play, 'C', 'A', 'disk.release', { epoch: 21 }), { code: 'ERR_NOT_YET' });
  t.not(room.node('A').disk?.hosted, undefined, 'nothing is removed');
  room.cut = />A disk.release/;
  await t.rejects(call(play, 'B', 'A', 'disk.release', { epoch: 22 }), { code: 'ERR_NOT_OWNER' });
  await t.rejects(call(play, 'C', 'A', 'disk.release', { epoch: 22 }), { code: 'ERR_NOT_OWNER' });
  t.not(room.node('A').disk?.hosted, undefined);
  await call(play, 'C', 'A', 'disk.release', { epoch: 21 });
  t.equal(room.node('A').disk?.hosted, undefined);
  t.equal(room.node('A').notes.grantOf(room.uuid)?.to.id, 'B');
  await settle(play, 'C');
  t.same(room.wrong, []);
});

t.test('a promise never to accept is given to the node alone that granted the disk', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  for (const [from, epoch] of [
    ['C', 2],
    ['C', 1_000_000],
    ['A', 2],
    ['A', 1_000_000],
  ] as const) {
    await t.rejects(call(play, from, 'B', 'disk.resolve', { epoch }), { code: 'ERR_NOT_OWNER' }, `${from} ${epoch}`);
  }
  room.cut = /B>A /;
  await t.rejects(call(play, 'A', 'B', 'disk.resolve', { epoch: 2 }), { code: 'ERR_NOT_YET' });
  t.equal(room.node('B').notes.refusedEpoch(room.uuid), 0);
  room.cut = undefined;
  t.equal(await guest('B').write(0, 8), undefined, 'it can still be moved there');
  await room.until('it is settled', () => isSettled(room));
  await settle(play, 'B');
  t.same(room.wrong, []);
});
