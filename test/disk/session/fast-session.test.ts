/**
 * What native threads may answer for a session of a disk: no more than JavaScript would. Whoever fences, displaces, freezes, hands over, replaces or removes waits until they have ended.
 */
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { silentLogger } from '../../../src/base/log.js';
import { blockBytes } from '../../../src/base/native/overlay.js';
import { DiskFolder } from '../../../src/disk/folder/folder.js';
import { KnownDisks } from '../../../src/disk/knowledge/known-disks.js';
import type { DiskExport } from '../../../src/disk/owner/disk-export.js';
import { DiskRegistry } from '../../../src/disk/owner/registry.js';
import { DiskNotes } from '../../../src/disk/session/notes.js';
import type { DiskSession } from '../../../src/disk/session/session.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { SlowUser } from '../../device/slow-user.js';
import { holds } from '../../support/wait.js';
import { owned, sampleRecord } from '../folder/sample.js';

const other = { id: 'B', address: 'B:1' };

interface Scene {
  registry: DiskRegistry;
  disk: DiskExport;
  clock: ManualClock;
  attach(key?: string): { session: DiskSession; user: SlowUser };
  /** One that native threads write for. */
  writer(key?: string): Promise<{ session: DiskSession; user: SlowUser }>;
}

async function scene(t: Test, { multiConn = false } = {}): Promise<Scene> {
  const dir = t.testdir();
  const clock = new ManualClock();
  const registry = new DiskRegistry({
    diskDir: join(dir, 'disk'),
    notes: new DiskNotes({ path: join(dir, 'notes.json'), isAlive: () => undefined }),
    known: new KnownDisks(join(dir, 'known.json'), silentLogger),
    peers: undefined,
    openBase: async () => undefined,
    defaultDeadlineMs: 0,
    clock,
    log: silentLogger,
  });
  const disk = await registry.host(await DiskFolder.create(join(dir, 'disk'), { ...sampleRecord(), multiConn }, owned));
  const users: SlowUser[] = [];
  t.after(() => {
    for (const user of users) {
      user.isQuick = true;
      user.letGo();
    }
    return registry.close();
  });
  const attach = (key = 'unix:1:1') => {
    const session = disk.attach({ key, text: key });
    const user = new SlowUser();
    users.push(user);
    session.fast.attach(user);
    return { session, user };
  };
  const writer = async (key?: string) => {
    const attached = attach(key);
    await write(attached.session);
    return attached;
  };
  return { registry, disk, clock, attach, writer };
}

function write(session: DiskSession): Promise<void> {
  return session.write(Buffer.alloc(blockBytes, 1), 0);
}

function read(session: DiskSession): Promise<unknown> {
  return session.read(Buffer.alloc(blockBytes), 0);
}

/** That `work` takes back what the user may write (and `reads`, what it may read), and waits until it has let go. */
async function waitsFor(t: Test, user: SlowUser, work: () => Promise<unknown>): Promise<void> {
  t.equal(user.may, 'read and write', 'before');
  let done = false;
  const working = work().finally(() => {
    done = true;
  });
  // What comes before may sync files.
  await holds(() => user.isHolding || done);
  t.equal(user.may, 'is ending');
  // Far more than it takes without such a user.
  for (let count = 0; count < 100; count += 1) await turn();
  t.equal(done, false, 'it waits');
  user.letGo();
  await working;
}

t.test('first requests and first writes are never native', async (t) => {
  const { attach } = await scene(t);
  const { session, user } = attach();
  t.equal(user.may, 'nothing');
  t.equal(session.isUsed, false);
  await read(session);
  t.equal(user.may, 'read');
  t.equal(session.hasWritten, false);
  await write(session);
  t.equal(user.may, 'read and write');
  t.equal(session.hasWritten, true);
});

t.test('a hit is a request, too', async (t) => {
  const { attach } = await scene(t);
  const { session, user } = attach();
  session.readNow(Buffer.alloc(blockBytes), 0, blockBytes, 0);
  t.equal(user.may, 'read');
});

t.test('a newer session that writes waits for native writes of the older one, which may nothing any more', async (t) => {
  const { attach, writer } = await scene(t);
  const { user } = await writer();
  const newer = attach();
  await waitsFor(t, user, () => write(newer.session));
  t.equal(user.may, 'nothing');
  t.equal(newer.user.may, 'read and write');
});

t.test('where connections share a word both write', async (t) => {
  const { writer } = await scene(t, { multiConn: true });
  const first = await writer();
  const second = await writer();
  t.equal(first.user.may, 'read and write');
  t.equal(second.user.may, 'read and write');
});

t.test('a client that was displaced reads natively where it may read, and does not write', async (t) => {
  const { registry, disk, attach } = await scene(t);
  registry.options.notes.fence(disk.record.uuid, { client: 'tcp:1.2.3.4', by: 'x', at: '2026-11-22T10:00:00.000Z' });
  const { session, user } = attach('tcp:1.2.3.4');
  await read(session);
  await t.rejects(write(session), { code: 'ERR_FENCED' });
  t.equal(user.may, 'read');
});

t.test('while the disk is frozen it is read natively, and not written', async (t) => {
  const { disk, writer } = await scene(t);
  const { user } = await writer();
  const seen: string[] = [];
  await waitsFor(t, user, () =>
    disk.frozen(async () => {
      seen.push(user.may);
    }),
  );
  t.same(seen, ['read']);
  t.equal(user.may, 'read and write', 'afterwards');
});

t.test('a disk whose files are replaced is not touched meanwhile, and then by the new ones', async (t) => {
  const { disk, writer, registry } = await scene(t);
  const { user } = await writer();
  const before = user.granted?.overlay;
  const seen: string[] = [];
  const replaced = disk.replaced(
    async () => {
      seen.push(user.may);
    },
    (folder) => registry.openHosted(folder),
  );
  // Writes first, for the flush, then reads.
  await holds(() => user.revokeCount >= 1);
  user.letGo();
  await holds(() => user.revokeCount >= 2);
  for (let count = 0; count < 100; count += 1) await turn();
  t.same(seen, [], 'it waits');
  user.letGo();
  await replaced;
  t.same(seen, ['nothing']);
  t.equal(user.may, 'read and write');
  t.not(user.granted?.overlay, before);
});

t.test('a grant to another node waits, and leaves nothing', async (t) => {
  const { disk, writer, attach, registry } = await scene(t);
  const { user } = await writer();
  registry.options.notes.fence(disk.record.uuid, { client: 'tcp:1.2.3.4', by: 'x', at: '2026-11-22T10:00:00.000Z' });
  const fenced = attach('tcp:1.2.3.4');
  await read(fenced.session);
  t.equal(fenced.user.may, 'read');
  const granted = waitsFor(t, user, () => disk.grant(other, 'write'));
  await holds(() => fenced.user.isHolding);
  t.equal(disk.isOwner, false, 'who was fenced before reads until the disk is away');
  fenced.user.letGo();
  // Once for its writes, before the flush, and once for its reads.
  while (user.revokeCount < 2) {
    user.letGo();
    await turn();
  }
  user.letGo();
  await granted;
  t.equal(user.may, 'nothing');
  t.equal(fenced.user.may, 'nothing');
});

t.test('a disk that was taken by force is left in the turn of the proof', async (t) => {
  const { disk, writer } = await scene(t);
  const { user } = await writer();
  await disk.claimed(other, 7, false, async () => 'proven');
  t.equal(user.may, 'is ending');
  user.letGo();
  await turn();
  t.equal(user.may, 'nothing');
});

t.test('a disk that is removed waits', async (t) => {
  const { registry, disk, writer } = await scene(t);
  const { user } = await writer();
  await waitsFor(t, user, () => registry.drop(disk, () => {}));
  t.equal(user.may, 'nothing');
});

t.test('a disk that is closed waits', async (t) => {
  const { disk, writer } = await scene(t);
  const { user } = await writer();
  await waitsFor(t, user, () => disk.close());
  t.equal(user.may, 'nothing');
});

t.test('once fences are lifted whoever writes first is the one', async (t) => {
  const { disk, writer, attach } = await scene(t);
  const first = await writer();
  const second = attach();
  await read(second.session);
  disk.attachment.liftFences();
  t.equal(first.user.may, 'is ending');
  const written = write(second.session);
  await turn();
  t.equal(second.user.may, 'read', 'what the first one still does is awaited');
  first.user.letGo();
  await written;
  t.equal(second.user.may, 'read and write');
  t.equal(first.user.may, 'nothing');
});

t.test('what was written natively is flushed by itself', async (t) => {
  const { disk, clock, writer } = await scene(t);
  const { user, session } = await writer();
  await session.flush();
  const { overlay } = disk.hosted ?? {};
  if (overlay === undefined || user.granted?.overlay !== overlay) throw new Error('no overlay');
  for (let round = 0; round < 3; round += 1) {
    t.equal(overlay.dirty, false);
    // Past the disk, as native threads do.
    await overlay.write(Buffer.alloc(blockBytes, 2), 0, blockBytes, blockBytes, undefined);
    t.equal(overlay.dirty, true);
    // A sync takes as long as the disk likes; and the timer is set again only when this thread has heard of the end of the flush before.
    while (overlay.dirty) {
      clock.advance(30_000);
      await turn();
    }
  }
});
