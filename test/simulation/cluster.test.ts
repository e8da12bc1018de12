/** Some seeds of the simulation, few enough for every run of the tests; `npm run simulate` runs as many as one likes. */
import t from 'tap';
import { holds } from './holds.js';
import { simulate } from './simulation.js';

t.test('nothing happens, but caches are small: the origin sends no chunk that a node holds', async (t) => {
  await holds(t, { seed: 14, nodeCount: 10, isCalm: true });
});

t.test('10 nodes, of which some die, stop, lie or lose each other', async (t) => {
  for (const seed of [13, 58]) await holds(t, { seed, nodeCount: 10, isCalm: false });
});

t.test('one seed is one run', async (t) => {
  const options = { seed: 24, nodeCount: 3, isCalm: false };
  const first = await simulate(options);
  const second = await simulate(options);
  t.equal(first.digest, second.digest);
  const other = await simulate({ ...options, seed: 25 });
  t.not(first.digest, other.digest);
});
