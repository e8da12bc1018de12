/** Some seeds of the simulation, small enough for every run of the tests; `npm run simulate` runs as many as one likes. */
import t, { type Test } from 'tap';
import type { RunOptions } from './profile.js';
import { simulate } from './simulation.js';

async function holds(t: Test, options: RunOptions): Promise<void> {
  const { violations, story, repeat } = await simulate(options);
  for (const line of story) if (violations.length > 0) t.comment(line);
  t.same(violations, [], `seed ${options.seed}, ${options.nodeCount} nodes; repeat it: ${repeat}`);
}

t.test('nothing happens: the origin sends no chunk that a node holds', async (t) => {
  await holds(t, { seed: 7, nodeCount: 10, isCalm: true });
});

t.test('runs of which a holder has only a part', async (t) => {
  for (const seed of [14, 35]) await holds(t, { seed, nodeCount: 10, isCalm: true });
});

t.test('10 nodes, of which some die, stop, lie or lose each other', async (t) => {
  for (const seed of [1, 13, 44]) await holds(t, { seed, nodeCount: 10, isCalm: false });
});

t.test('50 nodes', async (t) => {
  await holds(t, { seed: 20, nodeCount: 50, isCalm: false });
});

t.test('1000 nodes', async (t) => {
  await holds(t, { seed: 100, nodeCount: 1000, isCalm: false });
});

t.test('one seed is one run', async (t) => {
  const options = { seed: 24, nodeCount: 5, isCalm: false };
  const first = await simulate(options);
  const second = await simulate(options);
  t.equal(first.digest, second.digest);
  const other = await simulate({ ...options, seed: 25 });
  t.not(first.digest, other.digest);
});
