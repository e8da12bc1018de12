/**
 * A node of a version that has no `disk.trace` beside newer ones, as while a cluster is upgraded
 * node by node: a disk moves both ways, and no copy of it is left behind.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CopseError } from '../../../src/base/error.js';
import { silentLogger } from '../../../src/base/log.js';
import { takeByForce } from '../../../src/disk/operate/force.js';
import type { Play } from './scenario.js';
import { begin, beginWritten, settle, writeAtFirst } from './scenario.js';

const unknownThere = ['disk.trace', 'disk.epoch', 'disk.forces', 'disk.forced'];

function makeOlder({ room }: Play, id: string): void {
  const { service } = room.node(id);
  const call = service.call.bind(service);
  service.call = (method, argument, options) =>
    unknownThere.includes(method)
      ? Promise.reject(new CopseError('ERR_NO_SUCH_METHOD', `node ${id} is older`))
      : call(method, argument, options);
}

t.test('a disk moves to an older node and back, and its old copies go', async (t) => {
  const play = begin(t);
  const { room, guest } = play;
  await room.start(['A', 'B']);
  makeOlder(play, 'B');
  await writeAtFirst(play, 'A');
  for (const id of ['B', 'A', 'B'] as const) {
    const other = id === 'A' ? 'B' : 'A';
    t.equal(await guest(id, `unix:${id}:${room.steps.length}`).write(0, 8), undefined, `a write at ${id}`);
    await room.until(`all of it is at ${id}, and nothing at ${other}`, () => room.node(other).disk?.hosted === undefined);
    t.match(room.owners(), [new RegExp(`^${id}@`)]);
  }
  await settle(play, 'A');
  t.same(room.wrong, []);
});

t.test('an older owner has its disk copied ahead, and asks how a handover ended', async (t) => {
  const play = begin(t);
  const { room } = play;
  await room.start(['A', 'B']);
  makeOlder(play, 'A');
  await writeAtFirst(play, 'A');
  const disk = room.node('A').disk;
  if (disk === undefined) throw new Error('the room begins with a disk at A');
  const { id, address } = room.node('A').self;
  const argument = {
    record: disk.record,
    epoch: 1,
    from: { id, address },
    copy: '00000000-0000-4000-8000-000000000001',
    nodes: {},
    touched: [],
  };
  await room.during(room.node('B').service.call('disk.receive', argument, { caller: room.node('A').self }));
  // B asks back, and A has granted nothing.
  const resolve = room.node('B').service.call('disk.resolve', { uuid: room.uuid, epoch: 2 }, { caller: room.node('A').self });
  await t.rejects(room.during(resolve), { code: 'ERR_NOT_OWNER' });
  await settle(play, 'B');
  t.same(room.wrong, []);
});

t.test('a force of before there were records of it deposes the owner that comes back', async (t) => {
  const play = await beginWritten(t, ['A', 'B']);
  const { room } = play;
  room.kill('A');
  const { registry } = room.node('B');
  const disk = await room.during(registry.require('vm'));
  await room.during(takeByForce(disk, { registry, selfId: 'B', acceptLoss: true, log: silentLogger }));
  room.kill('B');
  const ownerPath = join(room.node('B').nextDir ?? '', 'disk', room.uuid, 'owner.json');
  const { forced, ...earlier } = JSON.parse(readFileSync(ownerPath, 'utf8'));
  t.match(forced, { to: 1001 });
  writeFileSync(ownerPath, JSON.stringify(earlier));
  await room.restart('B');
  await room.restart('A');
  // The model of the disk does not know what a force loses.
  room.wrong.length = 0;
  await room.during(room.node('A').watch.look());
  await room.until('A is deposed', () => room.node('A').disk?.isOwner === false);
  t.same(room.owners(), ['B@1001']);
});

t.test('a disk in a format of a newer node is refused alone, and with words', async (t) => {
  const play = begin(t);
  const { room } = play;
  await room.start(['A', 'B']);
  await writeAtFirst(play, 'A');
  const { disk, self, service } = room.node('A');
  const record = { ...disk?.record, format: 2 };
  const receive = { record, epoch: 1, from: self, copy: '00000000-0000-4000-8000-000000000001', nodes: {}, touched: [] };
  await t.rejects(room.during(room.node('B').service.call('disk.receive', receive, { caller: self })), {
    code: 'ERR_DISK_FORMAT',
    message: /format 2.*upgrade this node/,
  });
  const call = service.call.bind(service);
  service.call = async (method, argument, options) => {
    if (method !== 'disk.describe') return call(method, argument, options);
    return { ...Object(await call(method, { uuid: room.uuid }, options)), record };
  };
  await t.rejects(room.during(room.node('B').registry.search('newer')), { code: 'ERR_DISK_FORMAT' });
});
