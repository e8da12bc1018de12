/** A node whose former copy of a disk lost data: it says so when the disk is to come back, and the owner keeps the disk. */
import t from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { takeByForce } from '../../../src/disk/operate/force.js';
import { beginWritten, settle } from './scenario.js';

const mark = '{"copse":"loss","format":1,"at":"2026-11-22T10:00:00.000Z","openedAt":"2026-11-22T09:00:00.000Z","error":"EIO"}\n';

t.test('it is not taken over until the loss is accepted', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  room.cut = / blocks/;
  t.equal(await guest('B', 'unix:B:1', 60_000).write(0, 8), undefined);
  const { disk } = room.node('A');
  disk?.hosted?.overlay.rememberLoss(mark);
  await t.rejects(room.during(disk?.takeOver('take') ?? Promise.resolve()), { code: 'ERR_DATA_LOST' });
  t.same(room.owners(), ['B@2'], 'which was not asked for it');
  t.equal(await guest('B', 'unix:B:2', 60_000).write(8, 8), undefined);
  await room.during(disk?.hosted?.footing.acceptLoss() ?? Promise.resolve());
  await room.during(disk?.takeOver('take') ?? Promise.resolve());
  t.equal(disk?.isOwner, true);
  room.cut = undefined;
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('it is not taken by force until the loss is accepted', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room, guest } = play;
  room.cut = / blocks/;
  t.equal(await guest('B', 'unix:B:1', 60_000).write(0, 8), undefined);
  const { disk, registry } = room.node('A');
  if (disk === undefined) throw new Error('A has a copy');
  disk.hosted?.overlay.rememberLoss(mark);
  room.kill('B');
  const force = () => room.during(takeByForce(disk, { registry, selfId: 'A', acceptLoss: true, log: silentLogger }));
  await t.rejects(force(), { code: 'ERR_DATA_LOST' });
  t.equal(disk.isOwner, false);
  await room.during(disk.hosted?.footing.acceptLoss() ?? Promise.resolve());
  await force();
  t.equal(disk.isOwner, true);
});
