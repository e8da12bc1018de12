import fc from 'fast-check';
import t from 'tap';
import { Breaker, type BreakerOptions, type BreakerPass, type RequestOutcome } from '../../src/cluster/breaker.js';
import { ManualClock } from '../cache/manual-clock.js';

function open(options: Partial<BreakerOptions> = {}): { breaker: Breaker; clock: ManualClock } {
  const clock = new ManualClock();
  return { clock, breaker: new Breaker({ clock, random: () => 0, pauseMs: 1000, pauseLimitMs: 8000, failuresInRow: 3, ...options }) };
}

/** One request, made and settled; whether it passed. */
function ask(breaker: Breaker, outcome: RequestOutcome): boolean {
  const pass = breaker.enter();
  pass?.settle(outcome);
  return pass !== undefined;
}

t.test('closed: failures in a row open it', async (t) => {
  const { breaker } = open();
  for (const outcome of ['failure', 'failure', 'success', 'failure', 'abandoned', 'failure'] as const) ask(breaker, outcome);
  t.equal(breaker.state, 'closed', 'a success begins a new row, an abandoned request is nothing');
  t.equal(breaker.pauseLeftMs, 0);
  ask(breaker, 'failure');
  t.equal(breaker.state, 'open');
  t.equal(breaker.pauseLeftMs, 1000);
  t.equal(breaker.enter(), undefined);
});

t.test('closed: a share of the recent requests opens it, when there are enough of them', async (t) => {
  const { breaker } = open({ failureShare: 0.5, recentCount: 10, failuresInRow: 100 });
  for (let count = 0; count < 4; count += 1) for (const outcome of ['success', 'failure'] as const) ask(breaker, outcome);
  ask(breaker, 'failure');
  t.equal(breaker.state, 'closed', 'five of nine: too few to judge by');
  ask(breaker, 'failure');
  t.equal(breaker.state, 'open', 'six of ten');
});

t.test('closed: a share below the limit never opens it, however long', async (t) => {
  const { breaker } = open({ failureShare: 0.5, recentCount: 10, failuresInRow: 100 });
  for (let count = 0; count < 1000; count += 1) ask(breaker, count % 10 < 4 ? 'failure' : 'success');
  t.equal(breaker.state, 'closed');
});

t.test('closed: requests of long ago are not recent', async (t) => {
  const { breaker, clock } = open({ failureShare: 0.5, recentCount: 4, recentMs: 1000, failuresInRow: 100 });
  for (let count = 0; count < 20; count += 1) {
    ask(breaker, 'failure');
    clock.advance(400);
  }
  t.equal(breaker.state, 'closed');
  for (let count = 0; count < 4; count += 1) ask(breaker, 'failure');
  t.equal(breaker.state, 'open');
});

t.test('half-open: one passes, and its success closes', async (t) => {
  const { breaker, clock } = open();
  for (let count = 0; count < 3; count += 1) ask(breaker, 'failure');
  clock.advance(999);
  t.equal(breaker.state, 'open');
  clock.advance(1);
  t.equal(breaker.state, 'half-open');
  t.equal(breaker.pauseLeftMs, 0);
  const pass = breaker.enter();
  t.ok(pass);
  t.equal(breaker.enter(), undefined, 'the second one does not');
  pass?.settle('success');
  t.equal(breaker.state, 'closed');
  t.ok(ask(breaker, 'failure'));
  t.ok(ask(breaker, 'failure'));
  t.equal(breaker.state, 'closed', 'failures before it opened are forgotten');
});

t.test('half-open: an abandoned request lets the next one try', async (t) => {
  const { breaker, clock } = open();
  for (let count = 0; count < 3; count += 1) ask(breaker, 'failure');
  clock.advance(1000);
  t.ok(ask(breaker, 'abandoned'));
  t.equal(breaker.state, 'half-open');
  t.ok(ask(breaker, 'success'));
  t.equal(breaker.state, 'closed');
});

t.test('half-open: each failure doubles the pause up to its limit, and closing makes it short again', async (t) => {
  const { breaker, clock } = open();
  for (let count = 0; count < 3; count += 1) ask(breaker, 'failure');
  const pausesMs: number[] = [];
  for (let count = 0; count < 100; count += 1) {
    pausesMs.push(breaker.pauseLeftMs);
    clock.advance(breaker.pauseLeftMs);
    ask(breaker, 'failure');
  }
  t.same(pausesMs.slice(0, 6), [1000, 2000, 4000, 8000, 8000, 8000]);
  t.equal(pausesMs.at(-1), 8000);
  clock.advance(8000);
  ask(breaker, 'success');
  for (let count = 0; count < 3; count += 1) ask(breaker, 'failure');
  t.equal(breaker.pauseLeftMs, 1000);
});

t.test('jitter makes the pause shorter, never longer', async (t) => {
  for (const [random, pauseMs] of [
    [0, 1000],
    [0.5, 900],
    [0.999_999, 800],
  ] as const) {
    const { breaker } = open({ random: () => random, jitter: 0.2 });
    for (let count = 0; count < 3; count += 1) ask(breaker, 'failure');
    t.equal(Math.round(breaker.pauseLeftMs), pauseMs);
  }
});

t.test('what was on its way when it opened decides nothing', async (t) => {
  const { breaker, clock } = open();
  const [lateFailure, lateSuccess] = [breaker.enter(), breaker.enter()];
  for (let count = 0; count < 3; count += 1) ask(breaker, 'failure');
  lateFailure?.settle('failure');
  t.equal(breaker.pauseLeftMs, 1000, 'the pause is not doubled');
  clock.advance(1000);
  const attempt = breaker.enter();
  lateSuccess?.settle('success');
  t.equal(breaker.state, 'half-open');
  t.equal(breaker.enter(), undefined, 'the one that tries is still on its way');
  attempt?.settle('failure');
  t.equal(breaker.pauseLeftMs, 2000);
  attempt?.settle('success');
  t.equal(breaker.state, 'open', 'settled once');
});

t.test('in any order of events: it follows the table, and never gets stuck', async (t) => {
  const event = fc.oneof(
    fc.record({ kind: fc.constant('enter' as const) }),
    fc.record({
      kind: fc.constant('settle' as const),
      pick: fc.nat(),
      outcome: fc.constantFrom<RequestOutcome>('success', 'failure', 'abandoned'),
    }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 3000 }) }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const { breaker, clock } = open({ random: () => 0.5, recentCount: 6 });
      const passes: BreakerPass[] = [];
      for (const each of events) {
        const { state } = breaker;
        if (each.kind === 'wait') {
          clock.advance(each.ms);
          if (breaker.state !== state && !(state === 'open' && breaker.state === 'half-open')) return false;
        } else if (each.kind === 'enter') {
          const pass = breaker.enter();
          if (state === 'closed' && pass === undefined) return false;
          if (state === 'open' && pass !== undefined) return false;
          if (state === 'half-open' && pass !== undefined && breaker.enter() !== undefined) return false;
          if (pass !== undefined) passes.push(pass);
        } else if (passes.length > 0) {
          passes.splice(each.pick % passes.length, 1)[0]?.settle(each.outcome);
          if (state === 'open' && breaker.state !== 'open') return false;
          if (each.outcome === 'abandoned' && breaker.state !== state) return false;
        }
        if (breaker.pauseLeftMs > 8000) return false;
      }
      // Once all is settled and time passes, a request that succeeds closes it.
      for (const pass of passes) pass.settle('failure');
      clock.advance(8000);
      return ask(breaker, 'success') && breaker.state === 'closed';
    }),
  );
  t.pass();
});
