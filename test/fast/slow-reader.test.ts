/** Clients that take their answers slowly, in pieces, or not at all: right bytes for those who take them, and nobody else waits. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import type { Session } from '../conformance/wire/session.js';
import { Daemon } from '../fault/daemon.js';
import { differences } from '../support/differences.js';
import { shortDir } from '../support/short-dir.js';
import { until } from '../support/wait.js';
import { readRandomly } from './reader.js';
import { startWarm } from './served-image.js';

const mebibyte = 1024 * 1024;
const image = pattern(8 * mebibyte + 333, 71);
// Holes have ways of their own to the socket.
image.fill(0, 3 * mebibyte, 4 * mebibyte);
const imagePath = join(shortDir(t), 'image.raw');
writeFileSync(imagePath, image);

/** Asks for a lot and reads nothing of it. */
async function stopped(daemon: Daemon, lengthBytes: number): Promise<{ session: Session; asked: { cookie: bigint; offset: number }[] }> {
  const session = await daemon.attach('image', { replies: 'structured' });
  session.bytes.pause();
  const asked: { cookie: bigint; offset: number }[] = [];
  for (let index = 0; index < Math.ceil((4 * mebibyte) / lengthBytes); index += 1) {
    const offset = (index * lengthBytes) % (image.length - lengthBytes);
    asked.push({ cookie: session.send({ type: 0, offset, lengthBytes }), offset });
  }
  return { session, asked };
}

for (const [what, lengthBytes] of [
  ['small', 4096],
  ['large', 512 * 1024],
] as const) {
  t.test(`readers of ${what} blocks that stop hold up nobody, and get right bytes when they go on`, async (t) => {
    const daemon = await startWarm(t, image);
    const before = await daemon.fastPath();
    const silent = await Promise.all(Array.from({ length: 8 }, () => stopped(daemon, lengthBytes)));
    const bystander = await daemon.attach('image');
    t.same(await readRandomly(bystander, image, { seed: 1, count: 500 }), [], 'a bystander reads on');
    const { connections, reads } = await daemon.fastPath();
    t.equal(connections, 9);
    t.ok(reads - before.reads > 400, `${reads - before.reads} reads natively`);
    // Half of them vanish with all that waits for them; half go on.
    for (const { session } of silent.splice(0, 4)) session.bytes.destroy();
    await until('those who vanished are forgotten', async () => (await daemon.fastPath()).connections === 5);
    for (const { session, asked } of silent) {
      session.bytes.resume();
      let wrong = 0;
      for (const { cookie, offset } of asked) {
        const { error, data } = await session.answer(cookie);
        if (error !== 0 || !data.equals(image.subarray(offset, offset + lengthBytes))) wrong += 1;
      }
      t.equal(wrong, 0);
      await session.disconnect();
    }
    t.same(await readRandomly(bystander, image, { seed: 2, count: 100 }), []);
  });
}

t.test('chunks that stopped readers were sent are evicted, or left; what was sent stays right', async (t) => {
  const otherPath = join(shortDir(t), 'other.raw');
  const other = pattern(12 * mebibyte, 72);
  writeFileSync(otherPath, other);
  const daemon = await startWarm(t, image, { images: { other: otherPath }, cacheSize: '10M' });
  const readers = await Promise.all(Array.from({ length: 6 }, () => stopped(daemon, 512 * 1024)));
  const bystander = await daemon.attach('other');
  // More than the cache holds, again and again: the image must go.
  for (let round = 0; round < 2; round += 1) t.same(await differences(bystander, other), []);
  const { body } = await daemon.api('GET', '/metrics');
  t.match(body, /evict\w*(\{[^}]*\})? [1-9]/, 'chunks were evicted');
  let answered = 0;
  let wrong = 0;
  for (const { session, asked } of readers) {
    session.bytes.resume();
    for (const { cookie, offset } of asked) {
      const { error, data } = await session.answer(cookie);
      answered += 1;
      if (error !== 0 || !data.equals(image.subarray(offset, offset + 512 * 1024))) wrong += 1;
    }
  }
  t.equal(wrong, 0, `of ${answered} answers`);
});

const client = fileURLToPath(new URL('../../../test/fast/trickle.py', import.meta.url));

t.test('over sockets with the least of buffers, taken in pieces of any size', async (t) => {
  // In a network of its own, where the kernel gives TCP 4 KiB to send from; who is in there too reaches it.
  const enter = 'ip link set lo up && echo "4096 4096 4096" >/proc/sys/net/ipv4/tcp_wmem && exec "$0" "$@"';
  const daemon = await Daemon.start(t, {
    images: { image: imagePath },
    fastPath: true,
    listen: ['tcp:127.0.0.1:10809'],
    place: { command: (program, args) => ({ command: 'unshare', args: ['--net', 'sh', '-c', enter, program, ...args] }) },
  });
  const trickle = (...args: string[]) =>
    execa('nsenter', [`--net=/proc/${daemon.pid}/ns/net`, 'python3', client, '10809', 'image', imagePath, ...args], { reject: false });
  const first = await trickle('0', '60');
  t.equal(first.exitCode, 0, `cold: ${first.stderr}`);
  const before = await daemon.fastPath();
  const clients = await Promise.all(['1', '2', '3'].map((seed) => trickle(seed, '60')));
  for (const { exitCode, stderr, stdout } of clients) t.equal(exitCode, 0, `${stdout}${stderr}`);
  const { reads } = await daemon.fastPath();
  t.ok(reads - before.reads > 50, `${reads - before.reads} reads natively`);
});
