/** Of one disk there is one export and one opening of its files, and a disk that is here is never said to be unknown. */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { KnownDisks } from '../../../src/disk/knowledge/known-disks.js';
import { DiskRegistry } from '../../../src/disk/owner/registry.js';
import { DiskService } from '../../../src/disk/service/service.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { holds } from '../../support/wait.js';
import { owned, sampleRecord } from '../folder/sample.js';

const client = { key: 'unix:1:1', text: 'a client' };

function make(t: Test): { registry: DiskRegistry; dir: string; clock: ManualClock } {
  const dir = t.testdir();
  const diskDir = join(dir, 'disk');
  mkdirSync(diskDir);
  const clock = new ManualClock();
  const registry = new DiskRegistry({
    diskDir,
    notes: new DiskNotes({ path: join(dir, 'notes.json'), isAlive: () => undefined }),
    known: new KnownDisks(join(dir, 'known.json'), silentLogger),
    peers: undefined,
    openBase: async () => undefined,
    defaultDeadlineMs: 30_000,
    clock,
    log: silentLogger,
  });
  t.teardown(() => registry.close());
  return { registry, dir, clock };
}

t.test('the files of a disk are opened once', async (t) => {
  const folder = await DiskFolder.create(t.testdir(), sampleRecord(), owned);
  const overlay = folder.openOverlay();
  t.throws(() => folder.openOverlay(), { code: 'ERR_DISK_OPEN' });
  t.throws(() => new DiskFolder(folder.path, silentLogger).openOverlay(), { code: 'ERR_DISK_OPEN' });
  await overlay.close();
  await folder.openOverlay().close();
});

t.test('a client that was on its way when its export was forgotten gets the present one', async (t) => {
  const { registry } = make(t);
  const record = sampleRecord();
  const forgotten = registry.exportOf(record);
  const attaching = registry.attach(forgotten, client);
  registry.idle(record.uuid);
  const opened = await attaching;
  t.not(registry.get(record.uuid), forgotten);
  t.equal(registry.get(record.uuid)?.attachment.count, 1);
  t.equal(forgotten.attachment.count, 0);
  opened.release();
});

t.test('an export that was forgotten takes nobody in, and never owns the disk', async (t) => {
  const { registry } = make(t);
  const record = sampleRecord();
  const forgotten = registry.exportOf(record);
  registry.idle(record.uuid);
  t.throws(() => forgotten.attach(client), { code: 'ERR_BUSY' });
  await t.rejects(forgotten.takeOver('take'), { code: 'ERR_BUSY' });
  await t.rejects(
    forgotten.host(() => Promise.reject(new Error('it is not to be opened'))),
    { code: 'ERR_BUSY' },
  );
});

t.test('while the files of a disk are changed, others are told that it is busy', async (t) => {
  const { registry, dir } = make(t);
  const service = new DiskService(registry);
  const record = sampleRecord();
  const disk = await registry.host(await DiskFolder.create(join(dir, 'disk'), record, owned));
  await disk.replaced(
    async () => {
      await t.rejects(service.call('disk.describe', { uuid: record.uuid }, { caller: { id: 'b', address: 'b:1' } }), { code: 'ERR_BUSY' });
      await t.rejects(service.call('disk.describe', { name: record.name }, { caller: { id: 'b', address: 'b:1' } }), { code: 'ERR_BUSY' });
      t.equal(await registry.require(record.name), disk);
    },
    (folder) => registry.openHosted(folder),
  );
  t.match(await service.call('disk.describe', { name: record.name }, { caller: { id: 'b', address: 'b:1' } }), { state: 'owner' });
});

t.test('a disk whose files could not be opened again is served once they can be', async (t) => {
  const { registry, dir, clock } = make(t);
  const record = sampleRecord();
  const folder = await DiskFolder.create(join(dir, 'disk'), record, owned);
  const disk = await registry.host(folder);
  const [data, aside] = [join(folder.path, 'overlay.data'), join(folder.path, 'aside')];
  await t.rejects(
    disk.replaced(
      async () => renameSync(data, aside),
      () => Promise.reject(new Error('it can not be opened')),
    ),
  );
  t.equal(registry.get(record.uuid), disk, 'it is not forgotten');
  t.ok(disk.isBusy);
  clock.advance(1000);
  // It was tried, in vain, and waits again.
  await holds(() => clock.timerCount > 0);
  renameSync(aside, data);
  clock.advance(1000);
  await holds(() => disk.isOwner);
  t.match(await new DiskService(registry).call('disk.describe', { uuid: record.uuid }, { caller: { id: 'b', address: 'b:1' } }), {
    state: 'owner',
  });
});

t.test('a disk is found by the name that it has, whatever was told and forgotten', async (t) => {
  const { registry } = make(t);
  const record = sampleRecord();
  const { known } = registry.options;
  const disk = registry.exportOf(record);
  const opened = await registry.attach(disk, client);
  const owner = { id: 'b', address: 'b:1' };
  known.offer({ record: { ...record, name: 'renamed', renames: 1 }, owner, epoch: 9, dataBytes: 0 });
  t.same([registry.byName('renamed'), registry.byName(record.name)], [disk, undefined]);
  known.forget(record.uuid);
  t.same([registry.byName('renamed'), registry.byName(record.name)], [undefined, disk]);
  opened.release();
});
