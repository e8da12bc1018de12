/** What a node says of itself: the same object until it changes, and its own view is told of every change. */
import t from 'tap';
import { Self } from '../../src/cluster/self.js';
import { ManualClock } from '../cache/manual-clock.js';
import { statementOf } from '../peer/node-statement.js';

t.test('a change that nobody tells of is noticed, also when a ping saw it first', (t) => {
  const clock = new ManualClock();
  let attached: string[] = [];
  let changeCount = 0;
  const {
    startedAt: _startedAt,
    usedBytes: _usedBytes,
    contents: _contents,
    attached: _attached,
    disks: _disks,
    ...record
  } = statementOf('a');
  const self = new Self({
    record,
    usedBytes: () => 7,
    addresses: () => [],
    clock,
    onChange: () => (changeCount += 1),
  });
  self.state({ attached: () => attached, disks: () => [] });
  t.teardown(() => self.close());
  clock.advance(1000);
  const first = self.statement;
  const told = changeCount;
  t.equal(self.statement, first, 'nothing has changed');
  attached = ['image'];
  t.not(self.statement, first, 'a ping makes the new one');
  clock.advance(1000);
  t.equal(changeCount, told + 1, 'and the node itself hears of it');
  clock.advance(5000);
  t.equal(changeCount, told + 1, 'once');
  self.change({ draining: true });
  t.equal(changeCount, told + 2);
  t.equal(self.statement.draining, true);
  t.equal(self.statement.usedBytes, 7);
  t.end();
});
