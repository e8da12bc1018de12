/**
 * The handover of a disk from one node to another, with each request or answer lost, late or doubled, and each of the two nodes killed at each step: there is never a second owner, no flushed write is lost,
 * and nobody reads anything but what was written last.
 */
import t from 'tap';
import { enumerate } from './enumerate.js';
import { liveMigration } from './live-migration.js';

t.test('up to the new owner', (t) =>
  enumerate(t, { scenario: liveMigration, lastId: 'B', steps: /(describe|handover|map|resolve|trace|accepted|view(#1\d)?)$/ }),
);

t.test('where the new owner fails at first, and is asked how it ended', (t) =>
  enumerate(t, {
    scenario: liveMigration,
    lastId: 'B',
    // As long as the guest waits.
    always: Array.from({ length: 20 }, (_, index) => ({
      step: index === 0 ? 'B>A map' : `B>A map#${index + 1}`,
      fault: 'request-lost' as const,
    })),
    steps: /resolve(#2)?$|handover#[23]$/,
  }),
);
