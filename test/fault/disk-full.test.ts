/** A full file system below disks: writes, creation, snapshots and the map itself fail with ENOSPC, leave nothing behind, lose nothing, and work again when there is space. Mounts a tmpfs, so it takes root. */
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import { pattern } from '../conformance/content.js';
import { Cmd, Errno } from '../conformance/wire/constant.js';
import type { Session } from '../conformance/wire/session.js';
import { smallDisk } from '../disk/folder/mount.js';
import { DiskHost } from './disk-host.js';

const mebibyte = 1024 * 1024;
const exitNoSpace = 7;
const skip = process.getuid?.() === 0 ? false : 'mounting takes root';

/** A host whose state is on a tmpfs that somebody else can fill. */
async function crampedHost(t: Test): Promise<{ host: DiskHost; fill(leaveBytes: number): void; makeRoom(): void }> {
  const place = await smallDisk(t, 24 * mebibyte);
  if ('skip' in place) throw new Error(place.skip);
  const filler = join(place.path, 'filler');
  const host = await DiskHost.start(t, { image: Buffer.alloc(4096), state: join(place.path, 'state') });
  return {
    host,
    fill: (leaveBytes) => {
      const { bavail, bsize } = statfsSync(place.path);
      try {
        writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - leaveBytes), 1));
      } catch (error) {
        if (errorCode(error) !== 'ENOSPC') throw error;
      }
    },
    makeRoom: () => rmSync(filler),
  };
}

const flush = async (session: Session): Promise<number> => (await session.do({ type: Cmd.flush })).error;

/** What is read in the range, in requests that a server must take. */
async function readAll(session: Session, sizeBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let at = 0; at < sizeBytes; at += mebibyte) {
    const { error, data } = await session.read(at, mebibyte);
    if (error !== 0) throw new Error(`read at ${at}: error ${error}`);
    pieces.push(data);
  }
  return Buffer.concat(pieces);
}

t.test('writes to a full disk are ENOSPC and change nothing; what was written before is there, also after kill -9', { skip }, async (t) => {
  const { host, fill, makeRoom } = await crampedHost(t);
  await host.disk('create', 'vm1', '--size', '16M');
  let session = await host.daemon.attach('vm1');
  const model = pattern(16 * mebibyte, 3);
  model.fill(0, 4 * mebibyte);
  for (let at = 0; at < 4 * mebibyte; at += mebibyte) t.equal((await session.write(at, model.subarray(at, at + mebibyte))).error, 0);
  t.equal(await flush(session), 0);
  fill(2 * mebibyte + 100_000);

  // Until it is full: what is said to be written is, what is refused is old or new.
  const fresh = pattern(8 * mebibyte, 4);
  const refused: number[] = [];
  const size = 64 * 1024;
  for (let at = 4 * mebibyte; at < 12 * mebibyte; at += size) {
    const bytes = fresh.subarray(at - 4 * mebibyte, at - 4 * mebibyte + size);
    const { error } = await session.write(at, bytes);
    if (error === 0) bytes.copy(model, at);
    else refused.push(error);
  }
  t.ok(refused.length > 30, `${refused.length} writes were refused`);
  t.ok(
    refused.every((error) => error === Errno.ENOSPC),
    'with ENOSPC',
  );
  t.equal(
    (await session.write(0, model.subarray(mebibyte, mebibyte + 4096))).error,
    0,
    'a write over blocks that are there needs no space',
  );
  model.copy(model, 0, mebibyte, mebibyte + 4096);
  t.equal((await session.do({ type: Cmd.trim, offset: 2 * mebibyte, lengthBytes: mebibyte })).error, 0, 'a trim neither');
  model.fill(0, 2 * mebibyte, 3 * mebibyte);
  t.equal(await flush(session), 0, 'nor a flush of what was taken');

  const same = async (when: string): Promise<void> => {
    const found = await readAll(session, model.length);
    const wrong: number[] = [];
    for (let at = 0; at < model.length; at += 4096) {
      if (found.compare(model, at, at + 4096, at, at + 4096) === 0) continue;
      // A write that was refused may have come as far as some of its sectors.
      const isFresh =
        at >= 4 * mebibyte && at < 12 * mebibyte && found.compare(fresh, at - 4 * mebibyte, at - 4 * mebibyte + 4096, at, at + 4096) === 0;
      if (!isFresh) wrong.push(at);
    }
    t.same(wrong, [], `${when}: blocks that are neither old nor new`);
  };
  await same('on the full disk');
  await host.crash();
  session = await host.daemon.attach('vm1');
  await same('after kill -9 on the full disk');

  makeRoom();
  for (let at = 4 * mebibyte; at < 12 * mebibyte; at += size) {
    const bytes = fresh.subarray(at - 4 * mebibyte, at - 4 * mebibyte + size);
    const { error } = await session.write(at, bytes);
    if (error !== 0) t.fail(`write at ${at} with space again: error ${error}`);
    bytes.copy(model, at);
  }
  t.equal(await flush(session), 0);
  await host.crash();
  session = await host.daemon.attach('vm1');
  t.ok((await readAll(session, model.length)).equals(model), 'with space again all of it goes in');
});

t.test('no space for the map: writes fail, nothing that was flushed is lost', { skip }, async (t) => {
  const { host, fill, makeRoom } = await crampedHost(t);
  // A block of the map is a file system's block for 4 MiB or less of a disk: single blocks far apart need one each, beside their own.
  await host.disk('create', 'vm1', '--size', '64G');
  let session = await host.daemon.attach('vm1');
  const stride = 64 * mebibyte;
  const block = (index: number): Buffer => pattern(4096, 1000 + index);
  fill(40 * 4096);
  const flushed: number[] = [];
  const errors = new Set<number>();
  for (let index = 0; index < 200; index += 1) {
    const { error } = await session.write(index * stride, block(index));
    if (error === 0 && (await flush(session)) === 0) flushed.push(index);
    else errors.add(error);
  }
  t.ok(flushed.length >= 5 && flushed.length <= 150, `${flushed.length} blocks were flushed before it was full`);
  t.notOk(
    [...errors].some((error) => error !== 0 && error !== Errno.ENOSPC),
    `errors of writes: ${[...errors].join(', ')}`,
  );
  const check = async (when: string): Promise<void> => {
    for (const index of flushed) {
      const { error, data } = await session.read(index * stride, 4096);
      if (error !== 0 || !data.equals(block(index))) t.fail(`${when}: block ${index}, which was flushed: error ${error}`);
    }
  };
  await check('on the full disk');
  await host.crash();
  session = await host.daemon.attach('vm1');
  await check('after kill -9');
  makeRoom();
  for (let index = 0; index < 200; index += 1) t.equal((await session.write(index * stride, block(index))).error, 0);
  t.equal(await flush(session), 0, 'with space again');
  for (let index = 0; index < 200; index += 1) {
    if (!(await session.read(index * stride, 4096)).data.equals(block(index))) t.fail(`block ${index}`);
  }
});

t.test('create, snapshot and revert without space: refused, nothing is left behind, and the disk goes on', { skip }, async (t) => {
  const { host, fill, makeRoom } = await crampedHost(t);
  await host.disk('create', 'vm1', '--size', '16M');
  const bytes = pattern(6 * mebibyte, 9);
  const session = await host.daemon.attach('vm1');
  for (let at = 0; at < bytes.length; at += mebibyte) await session.write(at, bytes.subarray(at, at + mebibyte));
  t.equal(await flush(session), 0);
  session.bytes.destroy();
  await host.detached('vm1');
  await host.disk('snapshot', 'vm1', 'before');
  const free = (): number => {
    const { bavail, bsize } = statfsSync(host.daemon.state);
    return bavail * bsize;
  };
  fill(64 * 1024);
  const files = await host.files();
  const freeBytes = free();

  for (const [what, args] of [
    ['a snapshot', ['snapshot', 'vm1', 'more']],
    ['a revert', ['revert', 'vm1', 'before']],
  ] as const) {
    const { exitCode, stderr } = await host.daemon.copse('disk', ...args);
    t.equal(exitCode, exitNoSpace, `${what}: ${stderr}`);
    t.same(await host.files(), files, `${what} leaves nothing behind`);
  }
  t.ok(free() >= freeBytes - 8192, `${freeBytes - free()} bytes went with that`);
  fill(0);
  rmSync(join(host.daemon.state, '..', 'filler'), { force: false });
  fill(0);
  const { exitCode, stderr } = await host.daemon.copse('disk', 'create', 'vm2', '--size', '1M');
  t.equal(exitCode, exitNoSpace, `a disk: ${stderr}`);
  t.same(await host.files(), files, 'and that leaves nothing behind');

  const reader = await host.daemon.attach('vm1');
  t.ok((await readAll(reader, bytes.length)).equals(bytes), 'the disk is as it was');
  // Who writes is noted durably first, so that it can be displaced after a restart. Not done is not done, however often it is tried.
  for (const attempt of [1, 2, 3]) {
    t.equal((await reader.write(0, bytes.subarray(4096, 8192))).error, Errno.ENOSPC, `the first write of a new client, attempt ${attempt}`);
  }
  makeRoom();
  t.equal((await reader.write(0, bytes.subarray(4096, 8192))).error, 0, 'with space it is let in');
  t.equal(await flush(reader), 0);
  fill(0);
  t.equal((await reader.write(8192, bytes.subarray(4096, 8192))).error, 0, 'and writes over what is there without any');
  reader.bytes.destroy();
  await host.detached('vm1');
  makeRoom();
  await host.disk('revert', 'vm1', 'before');
  await host.disk('create', 'vm2', '--size', '1M');
  const again = await host.daemon.attach('vm1');
  t.ok((await readAll(again, bytes.length)).equals(bytes), 'back at the snapshot');
});
