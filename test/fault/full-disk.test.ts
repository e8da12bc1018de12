/** The disk below the cache is full or refuses writes: guests don't notice, the operator does. Mounts a small tmpfs, so it takes root. */
import { statfsSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { pattern } from '../conformance/content.js';
import { differences } from '../support/differences.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const mebibyte = 1024 * 1024;
const bytes = pattern(12 * mebibyte + 99, 71);
const skip = process.getuid?.() === 0 ? false : 'mounting takes root';

/** A tmpfs of so many bytes, unmounted with the test. */
async function smallDisk(t: Test, sizeBytes: number): Promise<string> {
  const folder = shortDir(t);
  await execa('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'copse-test', folder]);
  t.teardown(() => execa('umount', ['--lazy', folder]));
  return folder;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Somebody else takes so many bytes, or what is left of them: the cache may still be storing what was read. */
function take(disk: string, name: string, sizeBytes: number): void {
  try {
    writeFileSync(join(disk, name), Buffer.alloc(sizeBytes));
  } catch (error) {
    if (errorCode(error) !== 'ENOSPC') throw error;
  }
}

/** What the log says in a line that matches. */
function logged(daemon: Daemon, what: RegExp): number {
  return daemon.stderr.split('\n').filter((line) => what.test(line)).length;
}

t.test('a disk that is full: reads pass through, the log says so once, the status shows it', { skip }, async (t) => {
  const disk = await smallDisk(t, 5 * mebibyte);
  const origin = await ScriptedOrigin.start(t, bytes);
  writeFileSync(join(disk, 'other'), Buffer.alloc(mebibyte));
  const daemon = await Daemon.start(t, { images: { image: origin.url }, state: join(disk, 'state'), minFree: '64K' });
  t.same(await differences(await daemon.attach('image'), bytes), []);
  take(disk, 'more', Math.max(0, freeBytes(disk) - 8192));
  t.same(await differences(await daemon.attach('image'), bytes), [], 'when others fill it up, too');
  t.same(await differences(await daemon.attach('image'), bytes), []);
  await daemon.kill();
  await daemon.start();
  t.same(await differences(await daemon.attach('image'), bytes), [], 'and after a restart on a full disk');
});

t.test('a disk without any room: the cache says full', { skip }, async (t) => {
  const disk = await smallDisk(t, 5 * mebibyte);
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url }, state: join(disk, 'state'), minFree: '100%' });
  t.same(await differences(await daemon.attach('image'), bytes), []);
  t.same(await differences(await daemon.attach('image'), bytes), []);
  t.match(await daemon.status(), { cache: { state: 'full', message: /\w/ } });
  await until('the log says it', () => logged(daemon, /cache does not store/) > 0);
  t.equal(logged(daemon, /cache does not store/), 1, 'once');
});

t.test('the floor of free space holds, and is given back when others need it', { skip }, async (t) => {
  const disk = await smallDisk(t, 10 * mebibyte);
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url }, state: join(disk, 'state'), minFree: '3M' });
  const session = await daemon.attach('image');
  t.same(await differences(session, bytes), []);
  t.ok(freeBytes(disk) >= 3 * mebibyte, `${freeBytes(disk)} bytes are free`);
  take(disk, 'other', 3 * mebibyte);
  t.same(await differences(session, bytes), []);
  // The disk is looked at now and then; until then the cache doesn't know of the others.
  await until('the floor is free again', () => freeBytes(disk) >= 3 * mebibyte);
  await rm(join(disk, 'other'));
  t.same(await differences(session, bytes), []);
});

t.test('a disk that refuses writes: reads pass through, the status says broken', { skip }, async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  const session = await daemon.attach('image');
  t.equal((await session.read(0, 2 * mebibyte)).error, 0);
  await until('2 MiB in the cache', async () => {
    const { cache } = (await daemon.imageStatus('image')) as { cache: { cachedBytes: number } };
    return cache.cachedBytes >= 2 * mebibyte;
  });
  // Writes beyond 2 MiB of any file fail with EFBIG from here on, and there are no others left: the disk is not well in between, however long this takes.
  await execa('prlimit', ['--pid', String(daemon.pid), `--fsize=${2 * mebibyte}`]);
  t.same(await differences(session, bytes), []);
  t.same(await differences(session, bytes), []);
  t.match(await daemon.status(), { cache: { state: 'broken', message: /\w/ } });
  await until('the log says it', () => logged(daemon, /cache does not store/) > 0);
  t.equal(logged(daemon, /cache does not store/), 1, 'once');
});
