/** What a daemon shares with others of its kind, and must not: state directory, sockets, ports. And how it ends. */
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Errno } from '../conformance/wire/constant.js';
import { shortDir } from '../support/short-dir.js';
import { comes, until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const bytes = pattern(1024 * 1024, 91);
const origin = await ScriptedOrigin.start(t, bytes);

t.test('the second daemon on a state directory says who holds it and exits', async (t) => {
  const first = await Daemon.start(t, { images: { image: origin.url } });
  const second = new Daemon(shortDir(t), { images: { image: origin.url }, state: first.state });
  t.teardown(() => second.kill());
  const exit = await second.launch();
  t.ok(exit !== undefined && exit.code !== 0 && exit.signal === null, 'it ends by itself, with an error');
  t.match(second.stderr, String(first.pid), 'naming the process');
  t.match(second.stderr, first.state, 'and the directory');
  t.equal((await (await first.attach('image')).read(0, 16)).error, 0);
  await first.kill();
  t.equal(await second.launch(), undefined, 'when the first is gone the second may');
});

t.test('a port or socket in use is an error that names it', async (t) => {
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  t.teardown(() => blocker.close());
  const { port } = blocker.address() as AddressInfo;
  const daemon = new Daemon(shortDir(t), { images: { image: origin.url }, listen: [`tcp:127.0.0.1:${port}`] });
  t.teardown(() => daemon.kill());
  const exit = await daemon.launch();
  t.ok(exit !== undefined && exit.code !== 0);
  t.match(daemon.stderr, String(port));

  const holder = await Daemon.start(t, { images: { image: origin.url } });
  const rival = new Daemon(shortDir(t), { images: { image: origin.url }, listen: [`unix:${holder.socketPath}`] });
  t.teardown(() => rival.kill());
  const refused = await rival.launch();
  t.ok(refused !== undefined && refused.code !== 0);
  t.match(rival.stderr, holder.socketPath);
  t.equal((await (await holder.attach('image')).read(0, 16)).error, 0, 'the holder keeps its socket');
});

t.test('a state directory of a later version is left alone', async (t) => {
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  await daemon.stop();
  writeFileSync(join(daemon.state, 'format'), 'copse-state 999\n');
  const exit = await daemon.launch();
  t.ok(exit !== undefined && exit.code !== 0);
  t.match(daemon.stderr, /999|version/);
});

t.test('SIGTERM answers what is under way, then ends with 0; nothing is left of its sockets', async (t) => {
  const daemon = await Daemon.start(t, { images: { image: origin.url } });
  const session = await daemon.attach('image');
  const idle = await daemon.attach('image');
  origin.hold(t);
  const cookie = session.send({ type: 0, offset: 500_000, lengthBytes: 4096 });
  await until('a request to the origin', () => origin.heldCount > 0);
  const stopped = daemon.stop();
  t.ok((await idle.bytes.rest('end of an idle connection')).length === 0);
  t.equal(session.bytes.bufferedBytes, 0, 'one that waits for the origin is kept');
  t.notOk(session.bytes.closed);
  origin.release();
  const answer = await session.answer(cookie);
  t.equal(answer.error, 0);
  t.ok(answer.data.equals(bytes.subarray(500_000, 504_096)), 'the read is answered');
  t.same(await comes('the end of the daemon', stopped), { code: 0, signal: null });
  await t.rejects(daemon.connect(), { code: /ENOENT|ECONNREFUSED/ });
});

t.test('SIGTERM with an origin that never answers comes to an end, and not with ESHUTDOWN', async (t) => {
  const daemon = await Daemon.start(t, { images: { image: origin.url }, deadline: '0' });
  const session = await daemon.attach('image');
  origin.always({ kind: 'hang' });
  t.teardown(() => origin.always(undefined));
  const asked = origin.requests.length;
  const cookie = session.send({ type: 0, offset: 500_000, lengthBytes: 4096 });
  await until('a request to the origin', () => origin.requests.length > asked);
  t.same(await comes('the end of the daemon', daemon.stop()), { code: 0, signal: null });
  const answer = await session.answer(cookie).catch(() => undefined);
  if (answer !== undefined) t.not(answer.error, Errno.ESHUTDOWN);
  else t.ok(session.bytes.closed, 'closed hard: QEMU comes back and asks again');
});
