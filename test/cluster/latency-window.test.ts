import fc from 'fast-check';
import t from 'tap';
import { LatencyWindow } from '../../src/cluster/latency-window.js';
import { ManualClock } from '../cache/manual-clock.js';

t.test('nothing is known without samples', async (t) => {
  const window = new LatencyWindow({ clock: new ManualClock() });
  t.equal(window.count, 0);
  t.equal(window.p50Ms, undefined);
  t.equal(window.p95Ms, undefined);
});

t.test('quantiles are those of the last samples, never below and at most 4.5 % above', async (t) => {
  const samples = fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(
      samples,
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (latenciesMs, sampleLimit, share) => {
        const window = new LatencyWindow({ clock: new ManualClock(), sampleLimit });
        for (const latencyMs of latenciesMs) window.observe(latencyMs);
        const last = latenciesMs.slice(-sampleLimit).sort((left, right) => left - right);
        const exact = last[Math.ceil(share * last.length) - 1] ?? Number.NaN;
        const quantileMs = window.quantileMs(share) ?? Number.NaN;
        return window.count === last.length && quantileMs >= exact && quantileMs <= exact * 1.045;
      },
    ),
  );
  t.pass();
});

t.test('p50 and p95', async (t) => {
  const window = new LatencyWindow({ clock: new ManualClock() });
  for (let count = 0; count < 94; count += 1) window.observe(1);
  for (let count = 0; count < 6; count += 1) window.observe(50);
  const { p50Ms = 0, p95Ms = 0 } = window;
  t.ok(p50Ms >= 1 && p50Ms <= 1.045, `${p50Ms}`);
  t.ok(p95Ms >= 50 && p95Ms <= 52.25, `${p95Ms}`);
});

t.test('old samples are forgotten', async (t) => {
  const clock = new ManualClock();
  const window = new LatencyWindow({ clock, windowMs: 1000 });
  window.observe(100);
  clock.advance(600);
  window.observe(1);
  clock.advance(400);
  t.equal(window.count, 2);
  clock.advance(1);
  t.equal(window.count, 1);
  t.ok((window.p95Ms ?? 0) < 2);
  clock.advance(600);
  t.equal(window.p95Ms, undefined);
  window.observe(10);
  t.ok((window.p50Ms ?? 0) >= 10);
});

t.test('what is beyond its range counts as the end of it', async (t) => {
  const window = new LatencyWindow({ clock: new ManualClock() });
  window.observe(0);
  t.equal(window.p50Ms, 0.001);
  for (let count = 0; count < 5; count += 1) window.observe(1e9);
  t.equal(window.p95Ms, 2 ** 27 / 1000);
});
