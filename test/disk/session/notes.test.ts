/** What a node remembers of disks that it need not have: durable, bounded, and nothing without a reason. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DiskNotes } from '../../../src/disk/session/notes.js';

const uuid = '0b64ee5d-2a0a-4a58-a68f-9f5ad84a6b8d';

function open(t: Test, dead = new Set<string>()) {
  const path = join(t.testdir({}), 'disk-notes.json');
  return { path, notes: () => new DiskNotes({ path, isAlive: (client) => (dead.has(client) ? false : undefined) }) };
}

function fence(client: string, epoch?: number) {
  return { client, by: 'somebody', at: '2026-11-22T10:00:00.000Z', epoch };
}

/** A file without a note. */
const empty = { format: 1, fences: {}, refused: {}, held: {}, granted: {}, forced: {}, writers: {} };

t.test('fences are there after a restart, once a client, and go with their process', (t) => {
  const dead = new Set<string>();
  const { notes: again } = open(t, dead);
  const notes = again();
  notes.fence(uuid, fence('unix:1:1'), fence('unix:2:1', 4));
  notes.fence(uuid, fence('unix:1:1', 7));
  t.same(
    again()
      .fences(uuid)
      .map(({ client, epoch }) => [client, epoch]),
    [
      ['unix:2:1', 4],
      ['unix:1:1', 7],
    ],
  );
  dead.add('unix:2:1');
  notes.fence(uuid, fence('unix:3:1'));
  t.same(
    again()
      .fences(uuid)
      .map(({ client }) => client),
    ['unix:1:1', 'unix:3:1'],
  );
  notes.liftFences(uuid, ({ epoch }) => epoch === 7);
  t.same(
    again()
      .fences(uuid)
      .map(({ client }) => client),
    ['unix:3:1'],
  );
  notes.liftFences(uuid);
  t.same(again().fences(uuid), []);
  for (let pid = 0; pid < 100; pid += 1) notes.fence(uuid, fence(`unix:${pid}:1`));
  t.equal(again().fences(uuid).length, 64);
  t.equal(again().fences(uuid)[0]?.client, 'unix:36:1');
  t.end();
});

t.test('promises only grow, and outlive the disk', (t) => {
  const { notes: again } = open(t);
  const notes = again();
  t.equal(notes.refusedEpoch(uuid), 0);
  notes.refuse(uuid, 5);
  notes.refuse(uuid, 3);
  notes.hold(uuid, 9);
  notes.hold(uuid, 4);
  notes.forget(uuid);
  t.equal(again().refusedEpoch(uuid), 5);
  t.equal(again().heldEpoch(uuid), 9);
  t.end();
});

t.test('of disks that have come and gone the last ten thousand are remembered', (t) => {
  const { path, notes: again } = open(t);
  const held = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`disk-${index}`, 1]));
  writeFileSync(path, JSON.stringify({ ...empty, held }));
  const notes = again();
  notes.hold('disk-0', 2);
  notes.hold(uuid, 2);
  t.same([notes.heldEpoch('disk-0'), notes.heldEpoch('disk-1'), notes.heldEpoch('disk-2'), notes.heldEpoch(uuid)], [2, 0, 1, 2]);
  t.end();
});

t.test('who writes is remembered until it lets go, or has ended, but not when this node goes', (t) => {
  const dead = new Set<string>();
  const { notes: again } = open(t, dead);
  const notes = again();
  notes.setWriter(uuid, 'unix:1:1');
  t.equal(again().writer(uuid), 'unix:1:1');
  notes.setWriter(uuid, undefined);
  t.equal(again().writer(uuid), undefined);
  notes.setWriter(uuid, 'unix:2:1');
  notes.stopping();
  notes.setWriter(uuid, undefined);
  t.equal(again().writer(uuid), 'unix:2:1');
  dead.add('unix:2:1');
  t.equal(again().writer(uuid), undefined);
  t.end();
});

t.test('a damaged file is an error, for a displaced client could come back without it', (t) => {
  const { path, notes: again } = open(t);
  const fences = { [uuid]: [{ client: 'unix:1:1', by: 'x', at: 'y' }] };
  writeFileSync(path, JSON.stringify({ ...empty, fences, refused: { [uuid]: 3 } }));
  t.equal(again().refusedEpoch(uuid), 3);
  t.equal(again().fences(uuid).length, 1);
  const text = readFileSync(path, 'utf8');
  for (const broken of ['', '{}', text.slice(0, -3), text.replace('1', '2')]) {
    writeFileSync(path, broken);
    t.throws(again, { code: 'ERR_STATE' });
  }
  t.end();
});

t.test('to whom a disk went stays known after its release, and so does a force', (t) => {
  const { notes: again } = open(t);
  const to = { id: 'b', address: 'b:1' };
  const force = { from: 3, to: 1003, node: to, at: '2026-11-22T10:00:00.000Z' };
  again().hold(uuid, 5, to);
  again().force(uuid, force);
  t.same(again().grantOf(uuid), { epoch: 5, to });
  t.equal(again().heldEpoch(uuid), 5);
  again().force(uuid, { ...force, to: 900 });
  t.same(again().forceOf(uuid), force, 'the last one counts');
  again().hold(uuid, 7);
  t.equal(again().grantOf(uuid), undefined, 'it was removed here');
  t.equal(again().heldEpoch(uuid), 7);
  t.end();
});

t.test('promises of disks that come and go are bounded', (t) => {
  const { path, notes: again } = open(t);
  const uuids = Array.from({ length: 10_000 }, (_, index) => `0b64ee5d-2a0a-4a58-a68f-${String(index).padStart(12, '0')}`);
  writeFileSync(path, JSON.stringify({ ...empty, refused: Object.fromEntries(uuids.map((each) => [each, 1])) }));
  const notes = again();
  notes.refuse(uuid, 5);
  t.equal(notes.refusedEpoch(uuid), 5);
  t.equal(notes.refusedEpoch(uuids[0] ?? ''), 0, 'the oldest is gone');
  t.equal(notes.refusedEpoch(uuids[1] ?? ''), 1);
  t.end();
});
