/** What follows a handover: the rest of the blocks, and the end of the old copy; interrupted as in handover.test.ts. */
import t from 'tap';
import { enumerate } from './enumerate.js';
import { liveMigration } from './live-migration.js';

t.test('up to the end of the old copy', (t) =>
  enumerate(t, { scenario: liveMigration, lastId: 'B', steps: /(blocks|demand|release|trace)$/ }),
);
