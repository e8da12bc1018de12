/**
 * A handover whose new owner never took it, and a force meanwhile: the giver, which has heard of the force, does not take the disk
 * back when the handover is refused.
 */
import t from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { takeByForce } from '../../../src/disk/operate/force.js';
import { beginWritten } from './scenario.js';

t.test('the giver stays what it is', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C'], { step: 'B>A disk.handover', fault: 'kill-asker-after' });
  const { room, guest } = play;
  await guest('B', 'unix:B:1', 1000).write(0, 8);
  t.equal(room.node('B').alive, false);
  t.match(room.node('A').disk?.hosted?.state, { state: 'granted', to: { id: 'B', accepted: false } });
  const { registry } = room.node('C');
  await room.until('C knows of it', () => registry.options.known.get(room.uuid)?.owner.id === 'B');
  const disk = await room.during(registry.require('vm'));
  await room.during(takeByForce(disk, { registry, selfId: 'C', acceptLoss: true, log: silentLogger }));
  await room.until('A has noted it', () => room.node('A').notes.forceOf(room.uuid)?.to === 1002);
  t.same(room.owners(), ['C@1002']);
  await room.restart('B');
  room.wrong.length = 0;
  await room.pass(3000);
  t.same(room.wrong, []);
  t.same(room.owners(), ['C@1002']);
  t.equal(await guest('A', 'unix:A:2', 60_000).write(0, 8), undefined, 'and takes it from its owner');
  t.equal(room.node('A').disk?.hosted?.state.epoch, 1003);
  t.same(room.owners(), ['A@1003']);
});

t.test('nor does anybody take what a deposed owner grants, who has heard of the force', async (t) => {
  const play = await beginWritten(t, ['A', 'B', 'C']);
  const { room, guest } = play;
  const force = { from: 2, to: 1002, node: room.node('C').self, at: '2026-11-22T10:00:00.000Z' };
  // It arrives while the owner is asked.
  room.onStep = (step) => {
    if (step.startsWith('B>A disk.handover')) room.node('B').notes.force(room.uuid, force);
  };
  t.equal(await guest('B', 'unix:B:1', 2000).write(0, 8), 'ERR_NOT_OWNER');
  t.equal(room.node('B').disk?.isOwner ?? false, false);
});
