/**
 * Broke: a guest got ENOSPC while the cache on the same file system held space that it could give up.
 *
 * Mounts small file systems, so it takes root.
 */
import { statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { Cmd, Errno } from '../conformance/wire/constant.js';
import type { Session } from '../conformance/wire/session.js';
import { smallDisk } from '../disk/folder/mount.js';
import { DiskHost, imageName } from '../fault/disk-host.js';
import { mountSkip } from '../fault/disk-mount.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';

const mebibyte = 1024 * 1024;
const skip = await mountSkip();

async function tmpfs(t: Test, sizeBytes = 8 * mebibyte): Promise<string> {
  const place = await smallDisk(t, sizeBytes);
  if ('skip' in place) throw new Error(place.skip);
  return place.path;
}

async function ext4(t: Test): Promise<string> {
  const dir = shortDir(t);
  const image = join(dir, 'image');
  const path = shortDir(t);
  writeFileSync(image, '');
  truncateSync(image, 12 * mebibyte);
  await execa('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  await execa('mount', ['-o', 'loop', image, path]);
  t.teardown(() => execa('umount', ['--lazy', path]));
  return path;
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

const cachedBytes = async (host: DiskHost): Promise<number> =>
  ((await host.daemon.status()) as { cache: { usedBytes: number } }).cache.usedBytes;

/** Reads all of the image, which is larger than what there is. */
async function fillCache(host: DiskHost, path: string, sizeBytes: number): Promise<void> {
  const session = await host.daemon.attach(imageName);
  for (let at = 0; at < sizeBytes; at += mebibyte) await session.read(at, mebibyte);
  await until('the cache has filled the disk', () => freeBytes(path) < 3 * mebibyte);
  session.bytes.destroy();
}

/** Writes pieces until one fails; returns how many bytes went in, and the error. */
async function writeUntilFull(session: Session, bytes: Buffer, from: number, piece: number): Promise<{ end: number; error: number }> {
  for (let at = from; at < bytes.length; at += piece) {
    const { error } = await session.write(at, bytes.subarray(at, at + piece));
    if (error !== 0) return { end: at, error };
  }
  return { end: bytes.length, error: 0 };
}

for (const [name, make, minFree] of [
  ['tmpfs, --min-free 0', tmpfs, '0'],
  ['ext4, --min-free 1M', ext4, '1M'],
] as const) {
  t.test(`writes find no space only when the cache has none: ${name}`, { skip }, async (t) => {
    const path = await make(t);
    const imageBytes = 14 * mebibyte;
    const host = await DiskHost.start(t, {
      image: (await ScriptedOrigin.start(t, pattern(imageBytes, 7))).url,
      state: join(path, 'state'),
      cacheSize: '1G',
      minFree,
    });
    await host.disk('create', 'vm1', '--size', '16M');
    await fillCache(host, path, imageBytes);
    const heldBytes = await cachedBytes(host);
    t.ok(heldBytes > 4 * mebibyte, `${heldBytes} bytes in the cache, ${freeBytes(path)} free`);

    let session = await host.daemon.attach('vm1');
    const model = pattern(16 * mebibyte, 8);
    const { end, error } = await writeUntilFull(session, model, 0, 128 * 1024);
    t.equal(error, Errno.ENOSPC, 'in the end it is full');
    const leftBytes = await cachedBytes(host);
    t.ok(leftBytes < mebibyte, `${leftBytes} bytes were left in the cache when the first write failed`);
    t.ok(end > heldBytes - mebibyte, `${end} bytes were written`);
    t.equal((await session.do({ type: Cmd.flush })).error, 0);

    await host.crash();
    session = await host.daemon.attach('vm1');
    for (let at = 0; at < end; at += mebibyte) {
      const lengthBytes = Math.min(mebibyte, end - at);
      if (!(await session.read(at, lengthBytes)).data.equals(model.subarray(at, at + lengthBytes))) t.fail(`bytes at ${at}`);
    }
  });
}

t.test('a disk is created, and a snapshot copied, in room that the cache gives up', { skip }, async (t) => {
  const path = await tmpfs(t, 12 * mebibyte);
  const imageBytes = 14 * mebibyte;
  const host = await DiskHost.start(t, {
    image: (await ScriptedOrigin.start(t, pattern(imageBytes, 7))).url,
    state: join(path, 'state'),
    cacheSize: '1G',
    minFree: '0',
  });
  await host.disk('create', 'vm1', '--size', '16M');
  const session = await host.daemon.attach('vm1');
  t.match(await writeUntilFull(session, pattern(2 * mebibyte, 9), 0, mebibyte), { error: 0 });
  t.equal((await session.do({ type: Cmd.flush })).error, 0);
  session.bytes.destroy();
  await host.detached('vm1');
  await fillCache(host, path, imageBytes);
  await host.disk('create', 'vm2', '--size', '1M');
  await host.disk('snapshot', 'vm1', 'one');
  t.match(await host.status('vm1'), { snapshots: [{ name: 'one' }] });

  // More than all of the cache would not do: nothing of it goes for that.
  const large = await host.daemon.attach('vm1');
  t.match(await writeUntilFull(large, pattern(6 * mebibyte, 10), 0, mebibyte), { error: 0 });
  t.equal((await large.do({ type: Cmd.flush })).error, 0);
  large.bytes.destroy();
  await host.detached('vm1');
  const before = await cachedBytes(host);
  t.ok(before > mebibyte, `${before} bytes in the cache`);
  const { exitCode } = await host.daemon.copse('disk', 'snapshot', 'vm1', 'two');
  t.equal(exitCode, 7);
  // But for what the disk's last write still has it keep free.
  t.ok((await cachedBytes(host)) > 0, 'the cache stays');
});
