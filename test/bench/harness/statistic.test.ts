import t from 'tap';
import { compare, medianCpuUs, medianValue, runRounds } from './round.js';
import { median, medianOf, shuffled } from './statistic.js';

t.test('median', async (t) => {
  t.equal(median([5]), 5);
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([1, 9, 3, 5]), 4);
  t.equal(medianOf([undefined, 3, undefined, 7, 5]), 5);
  t.equal(medianOf([undefined]), undefined);
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
