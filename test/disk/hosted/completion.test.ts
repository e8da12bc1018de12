/** By what bringing a disk's blocks sees that guests ask for something. */
import t from 'tap';
import { requestCountOf } from '../../../src/disk/hosted/completion.js';
import { createExportMetrics } from '../../../src/server/export-metrics.js';

t.test('guests that native threads answer are seen, though nobody looks at the counters', async (t) => {
  const metrics = createExportMetrics();
  metrics.reads.peer.count = 3;
  let answered = 0;
  metrics.fast.lanes.add(() => {
    metrics.writes += answered;
    metrics.reads.cache.count += answered;
    answered = 0;
  });
  t.equal(requestCountOf(metrics), 3);
  answered = 2;
  t.equal(requestCountOf(metrics), 7);
  t.equal(requestCountOf(metrics), 7, 'once');
});
