/** What hostile and broken clients do to their own connections, and don't do to a bystander's. */
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { ByteStream } from '../conformance/wire/byte-stream.js';
import { optionBytes, u32 } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { timed, until } from './check.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const bytes = pattern(16 * 1024 * 1024, 61);
const origin = await ScriptedOrigin.start(t, bytes);
const daemon = await Daemon.start(t, {
  images: { image: origin.url },
  limits: ['connections = 60', 'handshake_timeout = "700ms"', 'request_memory = "64M"', 'bytes_per_connection = "32M"'],
});

/** Reads at random places all the time; the test asks how it fared. */
async function bystander(): Promise<{ stop(): Promise<{ count: number; wrong: number; slowestMs: number }> }> {
  const session = await daemon.attach('image');
  for (let offset = 0; offset < bytes.length; offset += 1024 * 1024) await session.read(offset, 1024 * 1024);
  const fared = { count: 0, wrong: 0, slowestMs: 0 };
  let stopping = false;
  const running = (async () => {
    while (!stopping) {
      const offset = (fared.count * 104_729) % (bytes.length - 4096);
      const { tookMs, value } = await timed(() => session.read(offset, 4096));
      fared.count += 1;
      fared.slowestMs = Math.max(fared.slowestMs, tookMs);
      if (value.error !== 0 || !value.data.equals(bytes.subarray(offset, offset + 4096))) fared.wrong += 1;
    }
    await session.disconnect();
  })();
  return {
    stop: async () => {
      stopping = true;
      await running;
      return fared;
    },
  };
}

/** Runs the hostile part beside a bystander, who must not notice. */
function beside(name: string, work: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    const witness = await bystander();
    await work(t);
    const { count, wrong, slowestMs } = await witness.stop();
    t.equal(wrong, 0, `${count} reads of a bystander are right`);
    t.ok(count > 0);
    t.ok(slowestMs < 1500, `the slowest took ${slowestMs} ms`);
  });
}

beside('garbage', async (t) => {
  for (let round = 0; round < 40; round += 1) {
    const stream = new ByteStream(await daemon.connect());
    stream.send(pattern(1 + ((round * 997) % 70_000), round + 100));
    await stream.rest('end of a connection that sends garbage');
  }
  const session = await daemon.attach('image');
  session.bytes.send(pattern(100_000, 3));
  t.equal((await session.bytes.rest('end of a connection that loses its place')).length, 0);
});

beside('slow loris in the handshake is cut off, one that is idle in transmission is not', async (t) => {
  const idle = await daemon.attach('image');
  const silent = new ByteStream(await daemon.connect());
  const dripping = new ByteStream(await daemon.connect());
  const drip = setInterval(() => dripping.send(Buffer.from([0])), 100);
  await silent.take(18, 'greeting');
  await dripping.take(18, 'greeting');
  const { tookMs } = await timed(async () => {
    await silent.rest('end of the silent one');
    await dripping.rest('end of the dripping one');
  });
  clearInterval(drip);
  t.ok(tookMs < 4000, `${tookMs} ms`);
  t.equal((await idle.read(0, 16)).error, 0);
});

beside('lengths beyond all bounds take no memory', async (t) => {
  const before = daemon.residentBytes();
  const streams: ByteStream[] = [];
  for (let index = 0; index < 20; index += 1) {
    const stream = new ByteStream(await daemon.connect());
    stream.send(u32(3), optionBytes(index % 2 === 0 ? 7 : 4711, Buffer.alloc(64), 0xffff_fff0));
    streams.push(stream);
    const session = await daemon.attach('image', { replies: 'extended' });
    session.send({ type: 1, flags: 32, lengthBytes: 2n ** 50n });
    streams.push(session.bytes);
  }
  for (const stream of streams) await stream.rest('end of a connection with a length beyond all bounds');
  t.ok(daemon.residentBytes() - before < 64 * 1024 * 1024, `${daemon.residentBytes() - before} bytes more`);
});

beside('clients that ask for much and read nothing take bounded memory', async (t) => {
  const before = daemon.residentBytes();
  const sessions: Session[] = [];
  for (let index = 0; index < 12; index += 1) {
    const session = await daemon.attach('image');
    session.bytes.pause();
    for (let request = 0; request < 200; request += 1)
      session.send({ type: 0, offset: (request * 65_536) % (8 * 1024 * 1024), lengthBytes: 4 * 1024 * 1024 });
    sessions.push(session);
  }
  await until(
    'a while in which memory could grow',
    (() => {
      const endMs = performance.now() + 1000;
      return () => performance.now() > endMs;
    })(),
  );
  const grown = daemon.residentBytes() - before;
  t.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`);
  for (const session of sessions) session.bytes.destroy();
});

beside('payloads that never come take bounded memory', async (t) => {
  const before = daemon.residentBytes();
  const sessions: Session[] = [];
  for (let index = 0; index < 30; index += 1) {
    const session = await daemon.attach('image');
    session.bytes.send(session.encode({ type: 1, lengthBytes: 32 * 1024 * 1024 }).bytes);
    sessions.push(session);
  }
  const grown = daemon.residentBytes() - before;
  t.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`);
  for (const session of sessions) session.bytes.destroy();
});

t.test('connections beyond the limit are closed, and there is room again when others leave', async (t) => {
  const streams = await Promise.all(Array.from({ length: 60 }, async () => await daemon.attach('image').catch(() => undefined)));
  const extra = new ByteStream(await daemon.connect());
  t.equal((await extra.rest('end of a connection too many')).length, 0);
  for (const session of streams) session?.bytes.destroy();
  await until('room for one more', async () => {
    try {
      const session = await daemon.attach('image');
      return (await session.read(0, 16)).error === 0;
    } catch {
      return false;
    }
  });
  t.pass();
});
