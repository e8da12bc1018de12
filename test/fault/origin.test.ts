/** An origin that is slow, dead, lying, cut off or changed: guests get right bytes or EIO in time, and never anything else. */
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Errno } from '../conformance/wire/constant.js';
import { differences, timed, until } from './check.js';
import { Daemon } from './daemon.js';
import { type Misbehaviour, ScriptedOrigin } from './origin.js';

const chunkBytes = 64 * 1024;
const bytes = pattern(8 * 1024 * 1024 + 1000, 21);
const deadlineMs = 1000;
const chunk = (index: number): Buffer => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes);

const origin = await ScriptedOrigin.start(t, bytes);
const daemon = await Daemon.start(t, { images: { image: origin.url }, deadline: `${deadlineMs}ms` });
// The first chunk is here already: the format was detected by it.
let nextChunk = 1;
/** A chunk that nobody has read yet. */
const fresh = (): number => nextChunk++;

const passing: Misbehaviour[] = [
  { kind: 'status', status: 503 },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 429 },
  { kind: 'reset' },
  { kind: 'cut', bytes: 0 },
  { kind: 'cut', bytes: 10_000 },
  { kind: 'half-close', bytes: 10_000 },
  { kind: 'delay', delayMs: 300 },
];
for (const misbehaviour of passing) {
  t.test(`a fault that passes is not seen by the guest: ${JSON.stringify(misbehaviour)}`, async (t) => {
    const session = await daemon.attach('image');
    const index = fresh();
    const asked = origin.requests.length;
    origin.next(misbehaviour);
    const answer = await session.read(index * chunkBytes, chunkBytes);
    t.equal(answer.error, 0);
    t.ok(answer.data.equals(chunk(index)));
    t.equal(origin.requests.length - asked, misbehaviour.kind === 'delay' ? 1 : 2, 'asked once more');
  });
}

const lasting: Misbehaviour[] = [
  { kind: 'status', status: 503 },
  { kind: 'status', status: 403 },
  { kind: 'status', status: 404 },
  { kind: 'reset' },
  { kind: 'hang' },
  // Cut behind some bytes every time, reads would get there piece by piece: each attempt resumes where the last one ended.
  { kind: 'cut', bytes: 0 },
  { kind: 'stall', bytes: 10_000 },
  { kind: 'ignore-range' },
  { kind: 'page' },
  { kind: 'shifted' },
  { kind: 'short' },
];
for (const misbehaviour of lasting) {
  t.test(`a fault that lasts is EIO within the deadline, and harms no other read: ${JSON.stringify(misbehaviour)}`, async (t) => {
    const session = await daemon.attach('image', { replies: 'structured' });
    const bystander = await daemon.attach('image');
    const warm = fresh();
    origin.always(undefined);
    t.equal((await session.read(warm * chunkBytes, chunkBytes)).error, 0);
    const index = fresh();
    const sentBytes = origin.sentBytes;
    origin.always(misbehaviour);
    const cookie = session.send({ type: 0, offset: index * chunkBytes, lengthBytes: chunkBytes });
    const startMs = performance.now();
    const hit = await timed(() => bystander.read(warm * chunkBytes, 4096));
    t.equal(hit.value.error, 0);
    t.ok(hit.tookMs < 900, `a hit took ${hit.tookMs} ms meanwhile`);
    const answer = await session.answer(cookie);
    const tookMs = performance.now() - startMs;
    t.equal(answer.error, Errno.EIO);
    t.not(answer.message, '', 'and says why');
    t.ok(tookMs < deadlineMs + 2000, `${tookMs} ms`);
    if (misbehaviour.kind === 'ignore-range') t.ok(origin.sentBytes - sentBytes <= 4 * bytes.length, 'not asked again and again');
    origin.always(undefined);
    const after = await session.read(index * chunkBytes, chunkBytes);
    t.equal(after.error, 0, 'and all is well when the origin is');
    t.ok(after.data.equals(chunk(index)));
  });
}

t.test('many misses wait for a slow origin together, not one after the other', async (t) => {
  const session = await daemon.attach('image');
  origin.always({ kind: 'delay', delayMs: 200 });
  t.teardown(() => origin.always(undefined));
  const { tookMs } = await timed(async () => {
    const cookies = Array.from({ length: 8 }, () => {
      const offset = fresh() * 2 * chunkBytes + 3 * 1024 * 1024;
      return session.send({ type: 0, offset: offset % (bytes.length - 4096), lengthBytes: 4096 });
    });
    for (const cookie of cookies) t.equal((await session.answer(cookie)).error, 0);
  });
  t.ok(tookMs < 8 * 200, `${tookMs} ms`);
});

t.test('four clients ask for the same absent chunk at once: the origin is asked once', async (t) => {
  const sessions = await Promise.all([0, 1, 2, 3].map(() => daemon.attach('image')));
  const index = fresh();
  origin.always({ kind: 'delay', delayMs: 200 });
  t.teardown(() => origin.always(undefined));
  const asked = origin.requests.length;
  const cookies = sessions.map((session, which) => session.send({ type: 0, offset: index * chunkBytes + which * 1000, lengthBytes: 5000 }));
  for (const [which, session] of sessions.entries()) {
    const answer = await session.answer(cookies[which] ?? 0n);
    t.ok(answer.data.equals(chunk(index).subarray(which * 1000, which * 1000 + 5000)));
  }
  t.equal(origin.requests.length - asked, 1);
});

t.test('a client that leaves while it waits takes nothing from the others', async (t) => {
  const [leaving, staying] = [await daemon.attach('image'), await daemon.attach('image')];
  const index = fresh();
  origin.always({ kind: 'delay', delayMs: 300 });
  t.teardown(() => origin.always(undefined));
  const asked = origin.requests.length;
  for (const session of [leaving, staying]) session.send({ type: 0, offset: index * chunkBytes, lengthBytes: 4096, cookie: 7n });
  await until('a request to the origin', () => origin.requests.length > asked);
  leaving.bytes.destroy();
  t.ok((await staying.answer(7n)).data.equals(chunk(index).subarray(0, 4096)));
});

t.test('a deadline of 0 waits until the origin is back', async (t) => {
  const patient = await Daemon.start(t, { images: { image: origin.url }, deadline: '0' });
  const session = await patient.attach('image');
  await origin.stop();
  const cookie = session.send({ type: 0, offset: 5_000_000, lengthBytes: 4096 });
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.equal(session.bytes.bufferedBytes, 0, 'no answer yet');
  await origin.start();
  t.ok((await session.answer(cookie, 10_000)).data.equals(bytes.subarray(5_000_000, 5_004_096)));
});

t.test('a dead origin: what is cached is served, what is not is EIO in time, and its return is noticed', async (t) => {
  const session = await daemon.attach('image');
  const warm = fresh();
  t.equal((await session.read(warm * chunkBytes, chunkBytes)).error, 0);
  await origin.stop();
  t.ok((await session.read(warm * chunkBytes, chunkBytes)).data.equals(chunk(warm)));
  const cold = fresh();
  const { tookMs, value } = await timed(() => session.read(cold * chunkBytes, 512));
  t.equal(value.error, Errno.EIO);
  t.ok(tookMs < deadlineMs + 2000, `${tookMs} ms`);
  await daemon.stop();
  await daemon.start();
  const again = await daemon.attach('image');
  t.ok((await again.read(warm * chunkBytes, chunkBytes)).data.equals(chunk(warm)), 'also after a restart without the origin');
  await origin.start();
  t.ok((await again.read(cold * chunkBytes, chunkBytes)).data.equals(chunk(cold)));
  t.same(await differences(again, bytes), []);
});
