/**
 * SIGHUP, which a login shell sends when it ends, killed the daemon without draining, and its decoders with it. And requests of one
 * connection, each with a listener of its own on one signal, made Node warn of a leak on the daemon's standard error.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Daemon } from '../fault/daemon.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { until } from '../support/wait.js';

const bytes = pattern(8 * 1024 * 1024, 17);
const chunkBytes = 65_536;

t.test('SIGHUP changes nothing, and many requests of one connection wait without a warning', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url }, fastPath: false });
  const session = await daemon.attach('image');
  origin.hold(t);
  const asked = Array.from({ length: 64 }, (_, index) => {
    const offset = bytes.length - (index + 1) * chunkBytes;
    return { offset, cookie: session.send({ type: 0, offset, lengthBytes: 4096 }) };
  });
  await until('the origin was asked', () => origin.heldCount > 0);
  daemon.signal('SIGHUP');
  await until('SIGHUP was heard', () => daemon.stderr.includes('SIGHUP changes nothing'));
  origin.release();
  for (const { offset, cookie } of asked) {
    const { error, data } = await session.answer(cookie);
    t.ok(error === 0 && data.equals(bytes.subarray(offset, offset + 4096)), `read at ${offset}`);
  }
  await session.disconnect();
  t.same(await daemon.stop(), { code: 0, signal: null });
  t.notMatch(daemon.stderr, /MaxListeners/);
  t.notOk(existsSync(daemon.socketPath), 'no socket is left');
});

t.test('a second SIGTERM ends the daemon at once', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { image: origin.url }, fastPath: false });
  const session = await daemon.attach('image');
  origin.hold(t);
  session.send({ type: 0, offset: bytes.length / 2, lengthBytes: 4096 });
  await until('the origin was asked', () => origin.heldCount > 0);
  daemon.signal('SIGTERM');
  await until('it drains', () => daemon.stderr.includes('"stopping"'));
  t.same(await daemon.stop(), { code: 1, signal: null });
});

t.test('a decoder is in no group of the daemon, whose terminal may end', async (t) => {
  const origin = await ScriptedOrigin.start(t, bytes);
  const daemon = await Daemon.start(t, { images: { raw: origin.url } });
  const path = join(daemon.folder, 'image.qcow2');
  writeFileSync(join(daemon.folder, 'raw'), bytes);
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(daemon.folder, 'raw'), path]);
  t.equal((await daemon.copse('image', 'add', 'decoded', path)).exitCode, 0);
  const session = await daemon.attach('decoded');
  t.ok((await session.read(0, 4096)).data.equals(bytes.subarray(0, 4096)));
  const children = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === daemon.pid);
  t.ok(children.length > 0, 'it runs');
  for (const pid of children) t.equal(groupOf(pid), Number(pid));
  session.bytes.destroy();
  await daemon.stop();
  await until('the decoder has gone', () => children.every((pid) => parentOf(pid) === undefined));
});

function statOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /, '')
      .split(' ');
  } catch {
    return [];
  }
}

function parentOf(pid: string): number | undefined {
  const [state, parent] = statOf(pid);
  return state === undefined || state === 'Z' ? undefined : Number(parent);
}

function groupOf(pid: string): number {
  return Number(statOf(pid)[2]);
}
