/** Subtests that go on where the one before has ended: after one that failed, what the next would find says nothing. */
import type { Test } from 'tap';

export function inOrder(t: Test): (name: string, body: (t: Test) => Promise<void>) => Promise<void> {
  return async (name, body) => {
    if (t.passing()) await t.test(name, body);
    else t.pass(name, { skip: 'the one before failed' });
  };
}
