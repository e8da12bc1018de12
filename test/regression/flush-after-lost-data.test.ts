/**
 * Broke: after a sync of a disk's data had failed, only the daemon's memory knew it. The first flush after a restart
 * succeeded, while blocks read new from the page cache and old once that was dropped.
 */
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Cmd, Errno } from '../conformance/wire/constant.js';
import type { Session } from '../conformance/wire/session.js';
import { DiskHost } from '../fault/disk-host.js';
import { FaultyDisk, faultyDiskSkip, lostMarker } from '../fault/faulty-disk.js';

const skip = await faultyDiskSkip();
const mebibyte = 1024 * 1024;
const block = 4096;
const exitConflict = 5;
const old = pattern(block, 1);
const fresh = Buffer.alloc(block, lostMarker);

const flush = async (session: Session): Promise<number> => (await session.do({ type: Cmd.flush })).error;

t.test('a flush after lost data fails for ever, until the loss is accepted', { skip }, async (t) => {
  const disk = await FaultyDisk.mount(t, 16 * mebibyte, ['mkfs.ext4', '-q', '-F']);
  const host = await DiskHost.start(t, { image: Buffer.alloc(block), state: disk.state, cacheSize: '1M' });
  await host.disk('create', 'vm1', '--size', '1M');
  let session = await host.daemon.attach('vm1');
  t.equal((await session.write(0, old)).error, 0);
  t.equal(await flush(session), 0);
  await disk.losing(async () => {
    t.equal((await session.write(0, fresh)).error, 0);
    t.equal(await flush(session), Errno.EIO, 'the sync fails');
  });
  t.equal(await flush(session), Errno.EIO, 'every later flush fails, too');

  for (const [how, again] of [
    ['SIGTERM', () => host.restart()],
    ['kill -9', () => host.crash()],
  ] as const) {
    await again();
    session = await host.daemon.attach('vm1');
    t.equal(await flush(session), Errno.EIO, `a flush after ${how}`);
    t.equal(
      (await session.do({ type: Cmd.write, offset: block, payload: old, flags: 1 })).error,
      Errno.EIO,
      `a write with FUA after ${how}`,
    );
  }

  // The operator hears of it everywhere.
  const { loss, message } = await host.status('vm1');
  t.match(loss, { error: 'EIO', isMarked: true, lastSyncAt: /^\d{4}-/ });
  t.match(message, /accept-loss vm1/);
  t.match(await host.daemon.api('GET', '/healthz'), { status: 503, body: /disk "vm1" lost data/ });
  t.match((await host.daemon.api('GET', '/metrics')).body, /copse_disk_data_lost\{disk="vm1"\} 1/);
  t.match(host.daemon.stderr, /lost data.*accept-loss/);

  // What needs a whole disk is refused.
  t.equal((await host.daemon.copse('disk', 'snapshot', 'vm1', 'one')).exitCode, exitConflict, 'a snapshot');
  const refused = await host.daemon.copse('disk', 'accept-loss', 'vm1');
  t.equal(refused.exitCode, exitConflict, 'accept-loss says first what may be lost');
  t.match(refused.stderr, /may be gone/);
  t.equal(await flush(session), Errno.EIO);

  const { exitCode, stdout } = await host.daemon.copse('disk', 'accept-loss', 'vm1', '--yes', '--json');
  t.equal(exitCode, 0);
  t.equal(JSON.parse(stdout).loss, undefined);
  t.equal(await flush(session), 0, 'flushes succeed again');
  t.match(await host.daemon.api('GET', '/healthz'), { status: 200, body: 'ok\n' });
  t.notOk((await readdir(await host.folder('vm1'))).some((file) => file.endsWith('.lost')));

  // Memory still had the block: it was saved. Whatever reads now stays so.
  const read = (await session.read(0, block)).data;
  t.ok(read.equals(fresh), 'the block that the page cache had');
  session.bytes.destroy();
  await host.daemon.stop();
  await disk.remount();
  await host.daemon.start();
  session = await host.daemon.attach('vm1');
  t.ok((await session.read(0, block)).data.equals(read), 'it is on the disk now');
  t.equal(await flush(session), 0);
});

t.test('a loss that could not be marked beside the disk is known from the state directory', { skip }, async (t) => {
  const disk = await FaultyDisk.mount(t, 16 * mebibyte, ['mkfs.ext4', '-q', '-F']);
  const host = await DiskHost.start(t, { image: Buffer.alloc(block), state: disk.state, cacheSize: '1M' });
  await host.disk('create', 'vm1', '--size', '1M');
  let session = await host.daemon.attach('vm1');
  await session.write(0, old);
  t.equal(await flush(session), 0);
  const folder = await host.folder('vm1');
  // Nothing can be written under the mark's name.
  mkdirSync(join(folder, 'map-1.lost'));
  await disk.losing(async () => {
    await session.write(0, fresh);
    t.equal(await flush(session), Errno.EIO);
  });
  t.match((await host.status('vm1')).loss, { isMarked: false });
  rmdirSync(join(folder, 'map-1.lost'));
  await host.crash();
  session = await host.daemon.attach('vm1');
  t.equal(await flush(session), Errno.EIO);
  t.match((await host.status('vm1')).loss, { isMarked: true }, 'the mark was written again');
});

t.test('files that were removed below a disk, and a file system that has become read-only', { skip }, async (t) => {
  const disk = await FaultyDisk.mount(t, 16 * mebibyte, ['mkfs.ext4', '-q', '-F', '-e', 'remount-ro']);
  const host = await DiskHost.start(t, { image: Buffer.alloc(block), state: disk.state, cacheSize: '1M' });
  await host.disk('create', 'vm1', '--size', '1M');
  await host.disk('create', 'vm2', '--size', '1M');
  const one = await host.daemon.attach('vm1');
  const two = await host.daemon.attach('vm2');
  for (const session of [one, two]) {
    t.equal((await session.write(0, old)).error, 0);
    t.equal(await flush(session), 0);
  }
  rmSync(await host.folder('vm1'), { recursive: true });
  t.equal((await one.write(block, old)).error, 0);
  const { error } = await one.do({ type: Cmd.flush });
  t.equal(error, Errno.EIO, 'what is flushed to no file is not durable');
  t.match((await host.status('vm1')).message, /removed or replaced below the daemon/);
  t.match(host.daemon.stderr, /removed or replaced below the daemon/);

  const device = (await disk.device).replace('/dev/', '');
  writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, 'a test');
  t.not((await two.write(block, old)).error, 0, 'a write to a read-only file system');
  t.match((await host.status('vm2')).message, /read-only/);
  t.match(host.daemon.stderr, /is read-only/);
  t.match((await host.daemon.api('GET', '/metrics')).body, /copse_disk_files\{disk="vm2",state="read-only"\} 1/);
});
