import t from 'tap';
import { CallLimiter } from '../../../src/peer/server/call-limiter.js';

const call = Buffer.from(JSON.stringify({ method: 'm', argument: 1 }));

function answerIn(device: { readNow(target: Buffer, start: number, length: number, offset: number): boolean }): unknown {
  const page = Buffer.alloc(8192);
  if (!device.readNow(page, 0, page.length, 0)) return undefined;
  return JSON.parse(page.subarray(4096).toString());
}

t.test('calls beyond the bound are turned away, and done when there is room', async (t) => {
  const ends: (() => void)[] = [];
  const desk = new CallLimiter(() => new Promise((resolve) => ends.push(() => resolve('done'))), { callCount: 2, answerBytes: 2 ** 20 });
  const seats = Array.from({ length: 4 }, () => desk.open());
  const [first, second, third, fourth] = seats;
  const writes = [first, second].map((seat) => seat?.device.write(call, 0));
  await third?.device.write(call, 0);
  t.match(third && answerIn(third.device), { error: { code: 'ERR_BUSY' } });
  ends[0]?.();
  await writes[0];
  t.same(first && answerIn(first.device), { result: 'done' });
  const last = fourth?.device.write(call, 0);
  ends[1]?.();
  ends[2]?.();
  await Promise.all([writes[1], last]);
  t.same(fourth && answerIn(fourth.device), { result: 'done' });
  for (const seat of seats) seat.release();
  t.equal(desk.heldBytes, 0);
});

t.test('answers are held until their connection ends, and no more than there is room for', async (t) => {
  const desk = new CallLimiter(async () => 'x'.repeat(1000), { callCount: 9, answerBytes: 11_000 });
  const seats = Array.from({ length: 3 }, () => desk.open());
  for (const seat of seats) await seat.device.write(call, 0);
  const [first, second, third] = seats;
  t.match(second && answerIn(second.device), { result: /^x+$/ });
  t.match(third && answerIn(third.device), { error: { code: 'ERR_BUSY' } });
  t.ok(desk.heldBytes > 10_000 && desk.heldBytes <= 11_000);
  first?.release();
  const next = desk.open();
  await next.device.write(call, 0);
  t.match(answerIn(next.device), { result: /^x+$/ });
  for (const seat of [second, third, next]) seat?.release();
  t.equal(desk.heldBytes, 0);
});

t.test('an answer for a connection that has ended is not held', async (t) => {
  let end = (): void => {};
  const desk = new CallLimiter(() => new Promise((resolve) => (end = () => resolve(1))), { callCount: 1, answerBytes: 2 ** 20 });
  const seat = desk.open();
  const gone = new AbortController();
  const asking = seat.device.write(call, 0, { signal: gone.signal });
  gone.abort();
  await t.rejects(asking, { code: 'ERR_ABORTED' });
  seat.release();
  const waiting = desk.open();
  await waiting.device.write(call, 0);
  t.match(answerIn(waiting.device), { error: { code: 'ERR_BUSY' } }, 'it is still under way');
  waiting.release();
  end();
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(desk.heldBytes, 0);
  const next = desk.open();
  const asked = next.device.write(call, 0);
  end();
  await asked;
  t.same(answerIn(next.device), { result: 1 });
  next.release();
  t.equal(desk.heldBytes, 0);
});
