/** Requests that are cut at every byte, and clients that half-close or vanish: what came whole is answered, what did not is not done, and nothing is left behind. */
import { readdirSync } from 'node:fs';
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Cmd } from '../conformance/wire/constant.js';
import { DiskHost } from '../fault/disk-host.js';
import { until } from '../support/wait.js';
import { readRandomly } from './reader.js';
import { fastConnections, servedName, startWarm } from './served-image.js';

const bytes = pattern(2 * 1024 * 1024 + 512, 91);

for (const replies of ['simple', 'extended'] as const) {
  t.test(`a request cut at every byte, ${replies} replies`, async (t) => {
    const daemon = await startWarm(t, bytes);
    const headerBytes = replies === 'extended' ? 32 : 28;
    for (let cut = 0; cut < headerBytes; cut += 1) {
      const session = await daemon.attach(servedName, { replies });
      // When this is answered it is served natively.
      await session.read(cut, 100);
      const whole = session.encode({ type: Cmd.read, offset: 4096 + cut, lengthBytes: 5000 });
      const part = session.encode({ type: Cmd.read, offset: 0, lengthBytes: 4096 });
      session.bytes.send(whole.bytes, part.bytes.subarray(0, cut));
      session.bytes.stream.end();
      const answer = await session.answer(whole.cookie);
      if (!answer.data.equals(bytes.subarray(4096 + cut, 9096 + cut))) t.fail(`cut at ${cut}: the request before it is answered wrongly`);
      const rest = await session.bytes.rest('end of a connection that was cut');
      if (rest.length !== 0) t.fail(`cut at ${cut}: ${rest.length} bytes that nobody asked for`);
    }
    await fastConnections(daemon, 0);
    const { reads } = await daemon.fastPath();
    // The first of a connection may come before native threads are told what they may answer.
    t.ok(reads >= headerBytes, `${reads} reads natively`);
  });
}

t.test('a request that comes byte by byte', async (t) => {
  const daemon = await startWarm(t, bytes);
  const session = await daemon.attach(servedName, { replies: 'structured' });
  for (let round = 0; round < 4; round += 1) {
    const { cookie, bytes: request } = session.encode({ type: Cmd.read, offset: round * 70_000, lengthBytes: 60_000 });
    for (const byte of request) {
      await session.bytes.sendAll(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.ok((await session.answer(cookie)).data.equals(bytes.subarray(round * 70_000, round * 70_000 + 60_000)));
  }
  t.ok((await daemon.fastPath()).reads >= 3);
});

t.test('a write that is cut anywhere changes nothing of the disk', async (t) => {
  const host = await DiskHost.start(t, { image: Buffer.alloc(4096), fastPath: true });
  await host.disk('create', 'disk', '--size', '4M');
  const old = pattern(16_384, 5);
  const writer = await host.daemon.attach('disk');
  t.equal((await writer.write(0, old)).error, 0);
  // The first one went through TypeScript; from now on they are native.
  await until('a native write', async () => {
    t.equal((await writer.write(0, old)).error, 0);
    return (await host.daemon.fastPath()).writes > 0;
  });
  await writer.disconnect();
  for (const cut of [1, 27, 28, 29, 511, 512, 4095, 4096, 4097, 8192 + 27]) {
    const session = await host.daemon.attach('disk');
    t.equal((await session.write(0, old)).error, 0);
    const { bytes: request } = session.encode({ type: Cmd.write, offset: 4096, payload: Buffer.alloc(8192, 0xee) });
    session.bytes.send(request.subarray(0, cut));
    session.bytes.stream.end();
    await session.bytes.rest('end of a connection that was cut');
  }
  const reader = await host.daemon.attach('disk');
  t.ok((await reader.read(0, 16_384)).data.equals(old));
});

t.test('a client that half-closes gets all its answers', async (t) => {
  const daemon = await startWarm(t, bytes);
  const session = await daemon.attach(servedName, { replies: 'structured' });
  const asked = Array.from({ length: 300 }, (_, index) => {
    const offset = (index * 7919) % (bytes.length - 40_000);
    return { offset, cookie: session.send({ type: Cmd.read, offset, lengthBytes: index % 10 === 0 ? 40_000 : 4096 }) };
  });
  session.bytes.stream.end();
  let wrong = 0;
  for (const { offset, cookie } of asked) {
    const { data } = await session.answer(cookie);
    if (!data.equals(bytes.subarray(offset, offset + data.length))) wrong += 1;
  }
  t.equal(wrong, 0);
  t.equal((await session.bytes.rest('the end')).length, 0);
});

t.test('clients that vanish amid requests and answers leave nothing behind', async (t) => {
  const daemon = await startWarm(t, bytes, { limits: ['connections = 200'] });
  const bystander = await daemon.attach(servedName);
  t.same(await readRandomly(bystander, bytes, { seed: 1, count: 50 }), []);
  const descriptors = (): number => readdirSync(`/proc/${daemon.pid}/fd`).length;
  const threads = (): number => readdirSync(`/proc/${daemon.pid}/task`).length;
  await fastConnections(daemon, 1);
  const before = { descriptors: descriptors(), threads: threads() };
  for (let round = 0; round < 10; round += 1) {
    const sessions = await Promise.all(
      Array.from({ length: 10 }, (_, index) => daemon.attach(servedName, { replies: index % 2 === 0 ? 'simple' : 'structured' })),
    );
    for (const [index, session] of sessions.entries()) {
      for (let request = 0; request < 20; request += 1)
        session.send({ type: Cmd.read, offset: request * 4096, lengthBytes: index % 3 === 0 ? 1_000_000 : 4096 });
      const { bytes: last } = session.encode({ type: Cmd.read, offset: 0, lengthBytes: 4096 });
      session.bytes.send(last.subarray(0, round * 3));
    }
    // Some are gone before they got anything, some in the middle of it.
    await Promise.all(sessions.slice(5).map((session) => session.bytes.take(16, 'something').catch(() => undefined)));
    for (const session of sessions) session.bytes.destroy();
  }
  t.same(await readRandomly(bystander, bytes, { seed: 2, count: 50 }), []);
  await fastConnections(daemon, 1);
  await until('all descriptors and threads are back', () => descriptors() <= before.descriptors && threads() <= before.threads + 8);
  t.pass();
});
