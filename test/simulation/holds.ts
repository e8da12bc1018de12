/** A run as a test. */
import type { Test } from 'tap';
import type { RunOptions } from './profile.js';
import { simulate } from './simulation.js';

export async function holds(t: Test, options: RunOptions): Promise<void> {
  const { violations, story, repeat } = await simulate(options);
  for (const line of story) t.comment(line);
  t.same(violations, [], `seed ${options.seed}, ${options.nodeCount} nodes; repeat it: ${repeat}`);
}
