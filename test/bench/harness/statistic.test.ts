import t from 'tap';
import { cpuRowOf, timesRowOf } from './report.js';
import { compare, compareCpu, medianCpuUs, medianValue, runRounds } from './round.js';
import { median, medianOf, percentile, shuffled } from './statistic.js';

t.test('median', async (t) => {
  t.equal(median([5]), 5);
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([1, 9, 3, 5]), 4);
  t.equal(medianOf([undefined, 3, undefined, 7, 5]), 5);
  t.equal(medianOf([undefined]), undefined);
});

t.test('a percentile counts those who would have asked while somebody waited', async (t) => {
  const quick = [50, 990] as const;
  t.equal(percentile([quick, [400, 10]], 0.99, 1_000), 50);
  t.equal(percentile([quick, [400, 11]], 0.99, 1_000), 400);
  // One wait of a second among a thousand reads: 999 more would have waited, the last of them for a millisecond.
  const stalled = percentile([quick, [1_000_000, 1]], 0.99, 1_000);
  t.ok(stalled > 900_000 && stalled < 1_000_000, `${stalled}`);
  t.equal(percentile([], 0.99, 1_000), 0);
});

t.test('shuffled: each once, the same for the same seed, another for another', async (t) => {
  const order = shuffled(1000, 1);
  t.strictSame(
    [...order].sort((a, b) => a - b),
    Array.from({ length: 1000 }, (_, index) => index),
  );
  t.strictSame(order, shuffled(1000, 1));
  t.notSame(order, shuffled(1000, 2));
  t.ok(order.filter((value, index) => value === index).length < 20, 'hardly any stays where it was');
});

t.test('rounds alternate, and ratios are taken within a round', async (t) => {
  const turns: string[] = [];
  // Drift: each round is twice as fast as the one before, for both alike.
  const contender = (name: string, base: number) => ({
    name,
    async run(roundIndex: number) {
      turns.push(name);
      return { value: base * 2 ** roundIndex, cpuUsPerOperation: base };
    },
  });
  const contenders = [contender('copse', 30), contender('nbdkit', 10)];
  const rounds = await runRounds(contenders, { unit: 'IOPS', better: 'higher' }, { pairs: 3 });
  t.strictSame(turns, ['copse', 'nbdkit', 'copse', 'nbdkit', 'copse', 'nbdkit']);
  t.match(compare(rounds, 'copse', 'nbdkit'), { ratio: 3, lowestRatio: 3, highestRatio: 3 });
  t.equal(medianValue(rounds, 'copse'), 60);
  t.equal(medianCpuUs(rounds, 'nbdkit'), 10);
  t.match(compareCpu(rounds, 'nbdkit', 'copse'), { ratio: 1 / 3, lowestRatio: 1 / 3, highestRatio: 1 / 3 });
  t.equal(compareCpu({ ...rounds, samples: { copse: [{ value: 1 }], nbdkit: [{ value: 1 }] } }, 'copse', 'nbdkit'), undefined);
  t.match(cpuRowOf('work', rounds, 'nbdkit', 3), { measured: '3.00× (3.00-3.00)', met: true }, 'CPU: three times as much');
  t.match(cpuRowOf('work', rounds, 'nbdkit', 'ahead'), { met: false });
  const waits = { ...rounds, measure: { unit: 'µs', better: 'lower' as const } };
  t.match(timesRowOf('work', waits, 'copse', 'nbdkit', 1.5), { measured: '3.00× (3.00-3.00)', met: false });
  const times = { ...rounds, measure: { unit: 's', better: 'lower' as const } };
  t.equal(compare(times, 'copse', 'nbdkit').ratio, 1 / 3, 'where less is better, more is behind');
});

t.test('a contender that fails side by side fails the round once the others are through', async (t) => {
  let through = false;
  const contenders = [
    { name: 'copse', run: () => Promise.reject(new Error('no')) },
    {
      name: 'nbdkit',
      async run() {
        await new Promise((resolve) => setImmediate(resolve));
        through = true;
        return { value: 1 };
      },
    },
  ];
  await t.rejects(runRounds(contenders, { unit: 's', better: 'lower' }, { pairs: 1, sideBySide: true }), { message: 'no' });
  t.ok(through);
});
