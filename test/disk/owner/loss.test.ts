/** A disk that lost data: it is not handed over, and both places that know of it are believed. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { DiskLosses, parseLoss } from '../../../src/disk/folder/loss.js';
import { KnownDisks } from '../../../src/disk/knowledge/known-disks.js';
import { DiskRegistry } from '../../../src/disk/owner/registry.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { owned, sampleRecord } from '../folder/sample.js';

const other = { id: 'B', address: 'B:1' };
const mark = JSON.stringify({
  copse: 'loss',
  format: 1,
  at: '2026-01-02T00:00:00.000Z',
  openedAt: '2026-01-01T00:00:00.000Z',
  error: 'EIO',
});

function registryOf(dir: string): DiskRegistry {
  return new DiskRegistry({
    diskDir: join(dir, 'disk'),
    notes: new DiskNotes({ path: join(dir, 'notes.json'), isAlive: () => undefined }),
    losses: new DiskLosses(join(dir, 'losses.json'), silentLogger),
    known: new KnownDisks(join(dir, 'known.json'), silentLogger),
    peers: undefined,
    openBase: async () => undefined,
    defaultDeadlineMs: 0,
    clock: new ManualClock(),
    log: silentLogger,
  });
}

async function newDisk(t: Test): Promise<{ dir: string; folder: string; uuid: string }> {
  const dir = t.testdir({ disk: {} });
  const folder = await DiskFolder.create(join(dir, 'disk'), sampleRecord(), owned);
  return { dir, folder: folder.path, uuid: folder.record.uuid };
}

t.test('a marked disk is not handed over, nor frozen, before the loss is accepted', async (t) => {
  const { dir, folder, uuid } = await newDisk(t);
  writeFileSync(join(folder, 'map-1.lost'), mark);
  const registry = registryOf(dir);
  await registry.start();
  const disk = registry.get(uuid);
  if (disk === undefined) throw new Error('it is not served');
  await t.rejects(disk.grant(other, 'take'), { code: 'ERR_DATA_LOST', message: /2026-01-02.*EIO.*accept-loss/ });
  t.ok(disk.isOwner, 'it stays here');
  await t.rejects(
    disk.frozen(async () => {}),
    { code: 'ERR_DATA_LOST' },
  );
  await disk.hosted?.footing.acceptLoss();
  t.equal(disk.hosted?.loss, undefined);
  await disk.frozen(async () => {});
  t.notOk(existsSync(join(folder, 'map-1.lost')));
  t.equal(new DiskLosses(join(dir, 'losses.json'), silentLogger).get(uuid, 'map-1'), undefined);
  await registry.close();
});

t.test('the state directory remembers for a mark that is gone, and for the same map alone', async (t) => {
  const { dir, folder, uuid } = await newDisk(t);
  const path = join(dir, 'losses.json');
  t.ok(new DiskLosses(path, silentLogger).add(uuid, 'map-1', mark));
  const registry = registryOf(dir);
  await registry.start();
  t.match(registry.get(uuid)?.hosted?.loss, { error: 'EIO', isMarked: true });
  t.ok(existsSync(join(folder, 'map-1.lost')), 'the mark is written again');
  await registry.close();

  rmSync(join(folder, 'map-1.lost'));
  new DiskLosses(path, silentLogger).add(uuid, 'map-7', mark);
  const again = registryOf(dir);
  await again.start();
  t.equal(again.get(uuid)?.hosted?.loss, undefined, 'the disk has other files since');
  t.equal(new DiskLosses(path, silentLogger).get(uuid, 'map-7'), undefined);
  await again.close();
});

t.test('a mark without text counts, a file of losses that can not be read stops the start', async (t) => {
  t.same(parseLoss('', true), { isMarked: true });
  const dir = t.testdir({ 'losses.json': '{' });
  t.throws(() => new DiskLosses(join(dir, 'losses.json'), silentLogger), { code: 'ERR_STATE' });
});
