import t from 'tap';
import type { Clock } from '../../src/base/clock.js';
import type { RangeSink } from '../../src/block/sink.js';
import { withHealth } from '../../src/origin/health.js';
import { OriginMeter, withMeter } from '../../src/origin/meter.js';
import { type Origin, OriginError, type OriginErrorCode } from '../../src/origin/origin.js';
import { withRetry } from '../../src/origin/retry.js';
import { bufferSink } from '../../src/origin/sink.js';

const content = Buffer.from('0123456789abcdef');

/** Each step delivers so many bytes and then fails with the code; a step without a code delivers all. */
type Step = { bytes?: number; code?: OriginErrorCode; retryAfterMs?: number };

class ScriptedOrigin implements Origin {
  readonly url = 'scripted:';
  readonly identity = { kind: 'nbd', sizeBytes: content.length } as const;
  readonly sizeBytes = content.length;
  readonly asked: [number, number][] = [];
  readonly #steps: Step[];

  constructor(steps: Step[]) {
    this.#steps = steps;
  }

  async read(offset: number, lengthBytes: number, sink: RangeSink): Promise<void> {
    this.asked.push([offset, lengthBytes]);
    const step = this.#steps.shift() ?? {};
    const bytes = step.code === undefined ? lengthBytes : (step.bytes ?? 0);
    if (bytes > 0) sink.data(content.subarray(offset, offset + bytes));
    if (step.code !== undefined) throw new OriginError(step.code, 'as told', { retryAfterMs: step.retryAfterMs });
  }

  async close(): Promise<void> {}
}

/** Time passes as fast as it is waited for, and is written down. */
function fastClock(): Clock & { waitsMs: number[] } {
  const waitsMs: number[] = [];
  return {
    waitsMs,
    nowMs: () => waitsMs.reduce((sum, ms) => sum + ms, 0),
    after(delayMs, callback) {
      waitsMs.push(delayMs);
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
  };
}

const unavailable: Step = { code: 'ERR_ORIGIN_UNAVAILABLE' };

t.test('goes on behind what was delivered, with backoff that doubles, and starts over after progress', async (t) => {
  const origin = new ScriptedOrigin([unavailable, unavailable, { ...unavailable, bytes: 5 }, unavailable, {}]);
  const clock = fastClock();
  let retryCount = 0;
  const target = Buffer.alloc(12);
  const retrying = withRetry(origin, { clock, random: () => 0.5, onRetry: () => (retryCount += 1) });
  await retrying.read(2, 12, bufferSink(target));
  t.equal(target.toString(), '23456789abcd');
  t.same(origin.asked, [
    [2, 12],
    [2, 12],
    [2, 12],
    [7, 7],
    [7, 7],
  ]);
  t.same(clock.waitsMs, [50, 100, 50, 50]);
  t.equal(retryCount, 4);
});

t.test('backoff has a ceiling, and Retry-After is honoured up to one', async (t) => {
  const steps = [
    ...Array.from({ length: 10 }, () => unavailable),
    { ...unavailable, retryAfterMs: 7000 },
    { ...unavailable, retryAfterMs: 60_000 },
    {},
  ];
  const clock = fastClock();
  await withRetry(new ScriptedOrigin(steps), { clock, random: () => 1 }).read(0, 4, bufferSink(Buffer.alloc(4)));
  t.same(clock.waitsMs, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 7000, 10_000]);
});

t.test('what was delivered whole is whole', async (t) => {
  const origin = new ScriptedOrigin([{ ...unavailable, bytes: 4 }]);
  await withRetry(origin).read(0, 4, bufferSink(Buffer.alloc(4)));
  t.equal(origin.asked.length, 1);
});

t.test('only what may help is tried again', async (t) => {
  for (const code of ['ERR_ORIGIN_CHANGED', 'ERR_ORIGIN_REFUSED', 'ERR_ORIGIN_PROTOCOL', 'ERR_FORMAT'] as const) {
    const origin = new ScriptedOrigin([{ code }]);
    await t.rejects(withRetry(origin).read(0, 4, bufferSink(Buffer.alloc(4))), { code });
    t.equal(origin.asked.length, 1);
  }
});

t.test('the signal ends the wait between two tries', async (t) => {
  const controller = new AbortController();
  const clock: Clock = { nowMs: () => 0, after: () => () => {} };
  const origin = new ScriptedOrigin([unavailable]);
  const reading = withRetry(origin, { clock, onRetry: () => setImmediate(() => controller.abort()) }).read(
    0,
    4,
    bufferSink(Buffer.alloc(4)),
    {
      signal: controller.signal,
    },
  );
  await t.rejects(reading, { code: 'ERR_ABORTED' });
  t.equal(origin.asked.length, 1);
});

t.test('health follows the last attempt', async (t) => {
  const origin = withHealth(new ScriptedOrigin([unavailable, {}, { code: 'ERR_ORIGIN_CHANGED' }, { code: 'ERR_ORIGIN_REFUSED' }]));
  const seen = [origin.health];
  for (let count = 0; count < 4; count += 1) {
    await origin.read(0, 4, bufferSink(Buffer.alloc(4))).catch(() => {});
    seen.push(origin.health);
    t.equal(origin.healthMessage === undefined, origin.health === 'ok');
  }
  t.same(seen, ['unused', 'unavailable', 'ok', 'changed', 'unavailable']);
});

t.test('the meter counts attempts, and bytes that failed attempts brought', async (t) => {
  const meter = new OriginMeter();
  const origin = withRetry(withMeter(new ScriptedOrigin([{ ...unavailable, bytes: 3 }, {}]), meter), { clock: fastClock() });
  await origin.read(0, 8, bufferSink(Buffer.alloc(8)));
  t.match(meter, { requests: { demand: 2, prefetch: 0 }, bytes: 8, zeroBytes: 0, failures: 1 });
  t.equal(meter.latency.count, 1);
});

t.test('a prefetch gets one attempt', async (t) => {
  const origin = new ScriptedOrigin([unavailable]);
  const read = withRetry(origin, { clock: fastClock() }).read(0, 4, bufferSink(Buffer.alloc(4)), { priority: 'prefetch' });
  await t.rejects(read, { code: 'ERR_ORIGIN_UNAVAILABLE' });
  t.equal(origin.asked.length, 1);
});
