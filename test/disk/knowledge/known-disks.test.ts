/** What other nodes said of their disks: the greater epoch counts, and a broken file is no reason not to start. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type KnownDisk, KnownDisks } from '../../../src/disk/knowledge/known-disks.js';
import { keptLog, sampleRecord } from '../folder/sample.js';

function open(t: Test) {
  const path = join(t.testdir({}), 'disks-known.json');
  const { log, lines } = keptLog();
  return { path, lines, again: () => new KnownDisks(path, log) };
}

function disk(id: string, epoch: number, record = sampleRecord()): KnownDisk {
  return { record, owner: { id, address: `${id}:1` }, epoch, dataBytes: 0 };
}

t.test('the greater epoch counts, also after a restart', (t) => {
  const { again, path } = open(t);
  const known = again();
  const first = disk('a', 3);
  const { record } = first;
  known.offer(first);
  known.offer(disk('b', 2, record));
  t.equal(again().get(record.uuid)?.owner.id, 'a');
  known.offer(disk('c', 4, record));
  t.equal(again().get(record.uuid)?.owner.id, 'c');
  known.offer(disk('c', 4, { ...record, sizeBytes: record.sizeBytes * 2 }));
  t.equal(again().get(record.uuid)?.record.sizeBytes, record.sizeBytes * 2, 'it has grown');
  known.forget(record.uuid);
  t.same(again().list(), []);
  t.ok(existsSync(path));
  t.end();
});

t.test('of two disks of one name the older one is found', (t) => {
  const { again } = open(t);
  const known = again();
  const [older, newer] = [disk('a', 1), disk('b', 1)];
  newer.record = { ...newer.record, uuid: randomUUID(), createdAt: '2026-11-23T10:00:00.000Z' };
  known.offer(newer);
  known.offer(older);
  t.equal(known.byName('web')?.owner.id, 'a');
  known.forget(older.record.uuid);
  t.equal(known.byName('web')?.owner.id, 'b');
  known.offer({ ...newer, record: { ...newer.record, name: 'web-2', renames: 1 } });
  known.offer(newer);
  t.equal(known.byName('web-2')?.owner.id, 'b', 'what is told of it under the name that it had is older');
  t.equal(known.byName('web'), undefined);
  t.end();
});

t.test('hints that can not be read, or kept, are learnt anew', (t) => {
  const { path, again, lines } = open(t);
  writeFileSync(path, '{"format":1,"disks":[{"record":{}}]}');
  t.same(again().list(), []);
  t.match(lines.at(-1)?.text, /learnt anew/);
  const known = again();
  mkdirSync(`${path}.new`);
  known.offer(disk('a', 1));
  t.match(lines.at(-1)?.text, /can not be kept/);
  t.equal(known.list().length, 1);
  t.end();
});
