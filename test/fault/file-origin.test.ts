/** Origins that are files and NBD servers, and images in a format that qemu-nbd decodes: changed, cut, gone, killed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { Errno } from '../conformance/wire/constant.js';
import { missing } from '../interop/serving.js';
import { differences } from '../support/differences.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';

const bytes = pattern(4 * 1024 * 1024, 101);
const other = pattern(4 * 1024 * 1024, 102);

const changes: [string, (path: string) => void | Promise<void>][] = [
  [
    'replaced',
    (path) => {
      writeFileSync(`${path}.new`, other);
      renameSync(`${path}.new`, path);
    },
  ],
  [
    'written to in place',
    async (path) => {
      const file = await open(path, 'r+');
      await file.write(other, 0, other.length, 0);
      await file.close();
    },
  ],
  ['cut short', (path) => truncateSync(path, 1_000_000)],
];
for (const [what, change] of changes) {
  t.test(`a file that is ${what}: what is not cached is EIO, never new bytes and never zeros`, async (t) => {
    const folder = shortDir(t);
    const path = join(folder, 'image.raw');
    writeFileSync(path, bytes);
    const daemon = await Daemon.start(t, { images: { image: path } });
    const session = await daemon.attach('image', { replies: 'structured' });
    t.ok((await session.read(300_000, 4096)).data.equals(bytes.subarray(300_000, 304_096)));
    await change(path);
    // The path is looked at now and then only; until then the open file has the old bytes, and they are right.
    let offset = 1_500_000;
    await until('an error', async () => {
      offset = Math.min(offset + 65_536, bytes.length - 4096);
      const answer = await session.read(offset, 4096);
      if (answer.error === 0 && !answer.data.equals(bytes.subarray(offset, offset + 4096))) throw new Error(`wrong bytes at ${offset}`);
      if (answer.error === 0) await new Promise((resolve) => setTimeout(resolve, 100));
      return answer.error === Errno.EIO;
    });
    t.ok((await session.read(300_000, 4096)).data.equals(bytes.subarray(300_000, 304_096)), 'what is cached stays');
    t.match(await daemon.imageStatus('image'), { origin: { health: 'changed' } });
  });
}

t.test('a sparse file is fetched as zeros and data', async (t) => {
  const path = join(shortDir(t), 'sparse.raw');
  const file = await open(path, 'w');
  await file.write(bytes, 0, 1_000_000, 2_000_000);
  await file.truncate(64 * 1024 * 1024);
  await file.close();
  const daemon = await Daemon.start(t, { images: { image: path } });
  t.same(await differences(await daemon.attach('image'), readFileSync(path)), []);
  let cache = { dataBytes: 0, cachedBytes: 0 };
  await until('all of it in the cache', async () => {
    ({ cache } = (await daemon.imageStatus('image')) as { cache: typeof cache });
    return cache.cachedBytes === 64 * 1024 * 1024;
  });
  t.ok(cache.dataBytes < 2_000_000, `${cache.dataBytes} bytes on the disk`);
});

/** nbdkit over a file, killable. */
async function nbdkit(t: Test, socket: string, file: string): Promise<ChildProcess> {
  const child = spawn('nbdkit', ['--foreground', '--readonly', '--unix', socket, 'file', file], { stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await until(
    'nbdkit',
    async () => (await execa('nbdinfo', ['--size', `nbd+unix:///?socket=${socket}`], { reject: false })).exitCode === 0,
  );
  return child;
}

t.test('an NBD origin that is killed and comes back', { skip: await missing('nbdkit', '--version') }, async (t) => {
  const folder = shortDir(t);
  const path = join(folder, 'image.raw');
  writeFileSync(path, bytes);
  const socket = join(folder, 'o.sock');
  const server = await nbdkit(t, socket, path);
  const url = `nbd+unix:///?socket=${socket}`;
  const daemon = await Daemon.start(t, {
    images: { hasty: url, patient: url },
    deadline: '1s',
    deadlines: { patient: '0' },
  });
  const [session, hasty] = [await daemon.attach('patient'), await daemon.attach('hasty')];
  t.ok((await session.read(300_000, 4096)).data.equals(bytes.subarray(300_000, 304_096)));
  server.kill('SIGKILL');
  await once(server, 'exit');
  const cookie = session.send({ type: 0, offset: 2_000_000, lengthBytes: 4096 });
  t.equal((await hasty.read(3_000_000, 4096)).error, Errno.EIO);
  t.equal(session.bytes.bufferedBytes, 0, 'who is patient waits on');
  // nbdkit does not take over the socket that its killed predecessor left.
  await execa('rm', ['-f', socket]);
  await nbdkit(t, socket, path);
  t.ok((await session.answer(cookie)).data.equals(bytes.subarray(2_000_000, 2_004_096)));
  t.same(await differences(session, bytes), []);
});

/** Processes of a name whose parent is `pid`. */
function children(pid: number, name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((child) => {
      try {
        const stat = readFileSync(`/proc/${child}/stat`, 'utf8');
        return stat.includes(`(${name})`) && Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    });
}

t.test(
  'a qcow2 image whose qemu-nbd is killed, and that does not outlive a killed daemon',
  { skip: await missing('qemu-nbd', '--version') },
  async (t) => {
    const folder = shortDir(t);
    const raw = join(folder, 'image.raw');
    const path = join(folder, 'image.qcow2');
    writeFileSync(raw, bytes);
    await execa('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', raw, path]);
    const daemon = await Daemon.start(t, { images: { image: path } });
    const session = await daemon.attach('image');
    t.ok((await session.read(300_000, 4096)).data.equals(bytes.subarray(300_000, 304_096)));
    const [helper] = children(daemon.pid, 'qemu-nbd');
    t.ok(helper, 'a qemu-nbd of its own');
    if (helper !== undefined) process.kill(helper, 'SIGKILL');
    t.ok((await session.read(2_000_000, 4096)).data.equals(bytes.subarray(2_000_000, 2_004_096)), 'the next read starts another');
    t.same(await differences(session, bytes), []);
    const [successor] = children(daemon.pid, 'qemu-nbd');
    await daemon.kill();
    if (successor !== undefined)
      await until('end of qemu-nbd', () => {
        try {
          return /^State:\s+Z/m.test(readFileSync(`/proc/${successor}/status`, 'utf8'));
        } catch {
          return true;
        }
      });
  },
);
