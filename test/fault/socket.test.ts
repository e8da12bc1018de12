/** What hostile and broken clients do to their own connections, and don't do to a bystander's. */
import t, { type Test } from 'tap';
import { pattern } from '../conformance/content.js';
import { ByteStream } from '../conformance/wire/byte-stream.js';
import { optionBytes, u32 } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { ScriptedOrigin } from './origin.js';

const bytes = pattern(16 * 1024 * 1024, 61);
const origin = await ScriptedOrigin.start(t, bytes);
const daemon = await Daemon.start(t, {
  images: { image: origin.url },
  // Nobody is cut off by the clock: what ends a connection here is what its client said.
  limits: ['connections = 60', 'handshake_timeout = "1h"', 'request_memory = "64M"', 'bytes_per_connection = "32M"'],
});

interface Witness {
  /** Resolves when so many more reads were answered. */
  reads(count: number): Promise<void>;
  /** Ends it; how many reads there were and how many of them went wrong. */
  stop(): Promise<{ count: number; wrong: number }>;
}

/** Reads at random places all the time; the test awaits that it gets on, and asks how it fared. */
async function bystander(): Promise<Witness> {
  const session = await daemon.attach('image');
  for (let offset = 0; offset < bytes.length; offset += 1024 * 1024) await session.read(offset, 1024 * 1024);
  const fared = { count: 0, wrong: 0 };
  let stopping = false;
  const running = (async () => {
    while (!stopping) {
      const offset = (fared.count * 104_729) % (bytes.length - 4096);
      const { error, data } = await session.read(offset, 4096);
      fared.count += 1;
      if (error !== 0 || !data.equals(bytes.subarray(offset, offset + 4096))) fared.wrong += 1;
    }
    await session.disconnect();
  })();
  return {
    reads: async (count) => {
      const wanted = fared.count + count;
      await Promise.race([until(`${count} reads of the bystander`, () => fared.count >= wanted), running]);
    },
    stop: async () => {
      stopping = true;
      await running;
      return fared;
    },
  };
}

/** Runs the hostile part beside a bystander, who gets on while the hostile clients are there: the part awaits it. */
function beside(name: string, work: (t: Test, witness: Witness) => Promise<void>): void {
  t.test(name, async (t) => {
    const witness = await bystander();
    await work(t, witness);
    const { count, wrong } = await witness.stop();
    t.equal(wrong, 0, `${count} reads of a bystander are right`);
  });
}

beside('garbage', async (t, witness) => {
  for (let round = 0; round < 40; round += 1) {
    const stream = new ByteStream(await daemon.connect());
    // No less than the flags of a client: fewer bytes are a client that is slow.
    stream.send(pattern(4 + ((round * 997) % 70_000), round + 100));
    await witness.reads(3);
    await stream.rest('end of a connection that sends garbage');
  }
  const session = await daemon.attach('image');
  session.bytes.send(pattern(100_000, 3));
  t.equal((await session.bytes.rest('end of a connection that loses its place')).length, 0);
});

beside('slow loris holds up nobody', async (t, witness) => {
  const silent = new ByteStream(await daemon.connect());
  const dripping = new ByteStream(await daemon.connect());
  await silent.take(18, 'greeting');
  await dripping.take(18, 'greeting');
  for (let drop = 0; drop < 3; drop += 1) {
    await dripping.sendAll(Buffer.from([0]));
    await witness.reads(20);
  }
  t.notOk(silent.closed || dripping.closed, 'they are there all the while');
  for (const stream of [silent, dripping]) stream.destroy();
});

t.test('slow loris in the handshake is cut off, one that is idle in transmission is not', async (t) => {
  const strict = await Daemon.start(t, { images: { image: origin.url }, limits: ['handshake_timeout = "2s"'] });
  let idle: Session | undefined;
  await until('a handshake in time', async () => {
    idle = await strict.attach('image').catch(() => undefined);
    return idle !== undefined;
  });
  const silent = new ByteStream(await strict.connect());
  const dripping = new ByteStream(await strict.connect());
  const drip = setInterval(() => dripping.send(Buffer.from([0])), 100);
  t.teardown(() => clearInterval(drip));
  await silent.rest('end of the silent one');
  await dripping.rest('end of the dripping one');
  t.equal((await idle?.read(0, 16))?.error, 0, 'though it was there before them');
});

beside('lengths beyond all bounds take no memory', async (t, witness) => {
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
  await witness.reads(50);
  for (const stream of streams) await stream.rest('end of a connection with a length beyond all bounds');
  // One of these lengths alone is 4 GiB; the bystander's reads and the collector's mood are some tens of MiB.
  t.ok(daemon.residentBytes() - before < 200 * 1024 * 1024, `${daemon.residentBytes() - before} bytes more`);
});

/** Between any two reads of the bystander the daemon turns to everybody else: what they can make it take, it has taken after this. */
async function memoryMeanwhile(witness: Witness): Promise<number> {
  let most = 0;
  for (let round = 0; round < 20; round += 1) {
    await witness.reads(20);
    most = Math.max(most, daemon.residentBytes());
  }
  return most;
}

beside('clients that ask for much and read nothing take bounded memory', async (t, witness) => {
  const before = daemon.residentBytes();
  const sessions: Session[] = [];
  for (let index = 0; index < 12; index += 1) {
    const session = await daemon.attach('image');
    session.bytes.pause();
    const requests = Array.from({ length: 200 }, (_, request) => {
      const offset = (request * 65_536) % (8 * 1024 * 1024);
      return session.encode({ type: 0, offset, lengthBytes: 4 * 1024 * 1024 }).bytes;
    });
    await session.bytes.sendAll(Buffer.concat(requests));
    sessions.push(session);
  }
  const grown = (await memoryMeanwhile(witness)) - before;
  t.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`);
  for (const session of sessions) session.bytes.destroy();
});

beside('payloads that never come take bounded memory', async (t, witness) => {
  const before = daemon.residentBytes();
  const sessions: Session[] = [];
  for (let index = 0; index < 30; index += 1) {
    const session = await daemon.attach('image');
    await session.bytes.sendAll(session.encode({ type: 1, lengthBytes: 32 * 1024 * 1024 }).bytes);
    sessions.push(session);
  }
  const grown = (await memoryMeanwhile(witness)) - before;
  t.ok(grown < 200 * 1024 * 1024, `${grown} bytes more`);
  for (const session of sessions) session.bytes.destroy();
});

t.test('connections beyond the limit are closed, and there is room again when others leave', async (t) => {
  const small = await Daemon.start(t, { images: { image: origin.url }, limits: ['connections = 20'] });
  const sessions = await Promise.all(Array.from({ length: 20 }, () => small.attach('image')));
  const extra = new ByteStream(await small.connect());
  t.equal((await extra.rest('end of a connection too many')).length, 0);
  for (const session of sessions) session.bytes.destroy();
  await until('room for one more', async () => {
    try {
      const session = await small.attach('image');
      return (await session.read(0, 16)).error === 0;
    } catch {
      return false;
    }
  });
  t.pass();
});
