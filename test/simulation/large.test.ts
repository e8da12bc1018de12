/** The same as `cluster.test.ts`, of many nodes. */
import t from 'tap';
import { holds } from './holds.js';

t.test('50 nodes', async (t) => {
  await holds(t, { seed: 10, nodeCount: 50, isCalm: false });
});

t.test('1000 nodes', async (t) => {
  await holds(t, { seed: 100, nodeCount: 1000, isCalm: false });
});
