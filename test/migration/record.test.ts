/** The check of the records can fail. */
import t from 'tap';
import { recordsBytes, wrongRecords } from './record.js';

t.test('records that were reported must lie there', async (t) => {
  const blank = Buffer.alloc(recordsBytes);
  t.same(wrongRecords(blank, []), []);
  t.match(wrongRecords(blank, [7]), [/slot 7: record 0 where 7/]);
  t.match(wrongRecords(blank, [0]), [/slot 0: record 0 is damaged/], 'its number alone is no record');
});
