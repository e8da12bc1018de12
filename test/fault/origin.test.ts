/**
 * An origin that is slow, dead, lying, cut off or changed: guests get right bytes or EIO at their deadline, and never anything else.
 *
 * Two names of one content: `patient` waits for ever, `hasty` gives up. While `patient` waits, an answer to `hasty` or to a hit comes before the
 * origin's by the order of events, however slow the machine is.
 */
import t from 'tap';
import { pattern } from '../conformance/content.js';
import { Errno } from '../conformance/wire/constant.js';
import type { Session } from '../conformance/wire/session.js';
import { differences } from '../support/differences.js';
import { comes, until } from '../support/wait.js';
import { Daemon } from './daemon.js';
import { type Misbehaviour, ScriptedOrigin } from './origin.js';

const chunkBytes = 64 * 1024;
const bytes = pattern(8 * 1024 * 1024 + 1000, 21);
const chunk = (index: number): Buffer => bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes);

const origin = await ScriptedOrigin.start(t, bytes);
const daemon = await Daemon.start(t, {
  images: { hasty: origin.url, patient: origin.url },
  deadline: '1s',
  deadlines: { patient: '0' },
});
// The first chunk is here already: the format was detected by it.
let nextChunk = 1;
/** A chunk that nobody has read yet. */
const fresh = (): number => nextChunk++;
/** Asks and doesn't wait. */
const ask = (session: Session, index: number): bigint => session.send({ type: 0, offset: index * chunkBytes, lengthBytes: chunkBytes });

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
    const session = await daemon.attach('patient');
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
/** Those that another try can not mend are EIO at once. */
const final = new Set<Misbehaviour['kind']>(['ignore-range', 'page', 'shifted', 'short']);
const isRefused = (misbehaviour: Misbehaviour): boolean => misbehaviour.kind === 'status' && misbehaviour.status < 500;

/** Clients of the patient image. */
async function attachedCount(): Promise<number> {
  const { connections } = await daemon.imageStatus('patient');
  return Number(connections);
}
for (const misbehaviour of lasting) {
  t.test(`a fault that lasts is EIO at the deadline, and harms no other read: ${JSON.stringify(misbehaviour)}`, async (t) => {
    const session = await daemon.attach('hasty', { replies: 'structured' });
    const [patient, bystander] = [await daemon.attach('patient'), await daemon.attach('patient')];
    const [warm, index, other] = [fresh(), fresh(), fresh()];
    t.equal((await patient.read(warm * chunkBytes, chunkBytes)).error, 0);
    const { sentBytes } = origin;
    t.teardown(() => origin.always(undefined));
    origin.always(misbehaviour);
    origin.hold(t);
    ask(patient, other);
    await until('a request to the origin', () => origin.heldCount > 0);
    t.ok((await bystander.read(warm * chunkBytes, 4096)).data.equals(chunk(warm).subarray(0, 4096)), 'a hit is answered');
    t.equal(patient.bytes.bufferedBytes, 0, 'while a miss waits');
    const cookie = ask(session, index);
    origin.release();
    const answer = await session.answer(cookie);
    t.equal(answer.error, Errno.EIO);
    t.match(answer.message, final.has(misbehaviour.kind) || isRefused(misbehaviour) ? /./ : /no answer within 1000 ms/, 'and says why');
    patient.bytes.destroy();
    if (misbehaviour.kind === 'ignore-range') t.ok(origin.sentBytes - sentBytes <= 4 * bytes.length, 'not asked again and again');
    origin.always(undefined);
    const after = await daemon.attach('patient');
    t.ok((await after.read(index * chunkBytes, chunkBytes)).data.equals(chunk(index)), 'and all is well when the origin is');
  });
}

t.test('at the deadline who is hasty gets EIO, and who is patient waits on for the same chunk', async (t) => {
  const [hasty, patient] = [await daemon.attach('hasty', { replies: 'structured' }), await daemon.attach('patient')];
  const index = fresh();
  origin.hold(t);
  const waiting = ask(patient, index);
  await until('its request to the origin', () => origin.heldCount > 0);
  const answer = await hasty.read(index * chunkBytes, chunkBytes);
  t.equal(answer.error, Errno.EIO);
  t.match(answer.message, /no answer within 1000 ms/);
  t.equal(patient.bytes.bufferedBytes, 0, 'no answer yet');
  origin.release();
  t.ok((await patient.answer(waiting)).data.equals(chunk(index)));
  t.equal(origin.requestCount(index * chunkBytes, chunkBytes), 1, 'by the one request');
});

t.test('many misses wait for a slow origin together, not one after the other', async (t) => {
  const session = await daemon.attach('patient');
  origin.hold(t);
  // Not side by side: neighbours are fetched by one request.
  const misses = Array.from({ length: 8 }, () => {
    const index = fresh();
    fresh();
    return { index, cookie: ask(session, index) };
  });
  await until('eight requests at once, none of them answered', () => origin.heldCount === misses.length);
  t.equal(session.bytes.bufferedBytes, 0);
  origin.release();
  for (const { index, cookie } of misses) t.ok((await session.answer(cookie)).data.equals(chunk(index)));
});

t.test('four clients ask for the same absent chunk at once: the origin is asked once', async (t) => {
  const sessions = await Promise.all([0, 1, 2, 3].map(() => daemon.attach('patient')));
  const [warm, index] = [fresh(), fresh()];
  t.equal((await daemon.attach('patient').then((session) => session.read(warm * chunkBytes, chunkBytes))).error, 0);
  origin.hold(t);
  const cookies = sessions.map((session, which) => session.send({ type: 0, offset: index * chunkBytes + which * 1000, lengthBytes: 5000 }));
  // The hit that is sent behind a miss is answered when the miss is under way.
  for (const session of sessions) t.equal((await session.read(warm * chunkBytes, 512)).error, 0);
  for (const session of sessions) t.equal(session.bytes.bufferedBytes, 0, 'all four wait');
  await until('a request to the origin', () => origin.heldCount > 0);
  origin.release();
  for (const [which, session] of sessions.entries()) {
    const answer = await session.answer(cookies[which] ?? 0n);
    t.ok(answer.data.equals(chunk(index).subarray(which * 1000, which * 1000 + 5000)));
  }
  t.equal(origin.requestCount(index * chunkBytes, chunkBytes), 1);
});

t.test('a client that leaves while it waits takes nothing from the others', async (t) => {
  const [leaving, staying] = [await daemon.attach('patient'), await daemon.attach('patient')];
  const [warm, index] = [fresh(), fresh()];
  t.equal((await staying.read(warm * chunkBytes, chunkBytes)).error, 0);
  origin.hold(t);
  for (const session of [leaving, staying]) {
    session.send({ type: 0, offset: index * chunkBytes, lengthBytes: 4096, cookie: 7n });
    t.equal((await session.read(warm * chunkBytes, 512)).error, 0);
  }
  await until('a request to the origin', () => origin.heldCount > 0);
  const before = await attachedCount();
  leaving.bytes.destroy();
  await until('the daemon to notice who left', async () => (await attachedCount()) < before);
  origin.release();
  t.ok((await staying.answer(7n)).data.equals(chunk(index).subarray(0, 4096)));
});

t.test('a deadline of 0 waits until the origin is back', async (t) => {
  const [patient, hasty] = [await daemon.attach('patient'), await daemon.attach('hasty')];
  const [index, other] = [fresh(), fresh()];
  await origin.stop();
  const cookie = ask(patient, index);
  t.equal((await hasty.read(other * chunkBytes, 512)).error, Errno.EIO);
  t.equal(patient.bytes.bufferedBytes, 0, 'no answer yet, when others have given up');
  await origin.start();
  t.ok((await patient.answer(cookie)).data.equals(chunk(index)));
});

t.test('a dead origin: what is cached is served, what is not is EIO, and its return is noticed', async (t) => {
  const [session, patient] = [await daemon.attach('hasty'), await daemon.attach('patient')];
  const [warm, cold] = [fresh(), fresh()];
  t.equal((await patient.read(warm * chunkBytes, chunkBytes)).error, 0);
  await origin.stop();
  t.ok((await patient.read(warm * chunkBytes, chunkBytes)).data.equals(chunk(warm)));
  t.equal((await session.read(cold * chunkBytes, 512)).error, Errno.EIO);
  await comes('the end of the daemon', daemon.stop());
  await daemon.start();
  const again = await daemon.attach('patient');
  t.ok((await again.read(warm * chunkBytes, chunkBytes)).data.equals(chunk(warm)), 'also after a restart without the origin');
  await origin.start();
  t.ok((await again.read(cold * chunkBytes, chunkBytes)).data.equals(chunk(cold)));
  t.same(await differences(again, bytes), []);
});
