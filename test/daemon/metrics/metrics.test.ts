/** Which series a scrape has, and that making it lets others have their turn. */
import t from 'tap';
import { Slice } from '../../../src/base/slice.js';
import { MetricPage } from '../../../src/daemon/metrics/page.js';
import { addEach, select, seriesLimit } from '../../../src/daemon/metrics/selection.js';

interface Item {
  name: string;
  count: number;
}

t.test('those that matter most have series of their own, the rest one together, and sums stay right', async (t) => {
  const items: Item[] = Array.from({ length: 3 * seriesLimit }, (_, index) => ({ name: `n${index}`, count: index % 3 === 0 ? 0 : index }));
  const slice = new Slice();
  const selection = await select(items, slice, ({ count }) => count);
  t.equal(selection.shown.length, seriesLimit);
  t.equal(selection.rest.length, seriesLimit, 'what nothing happened to is nowhere');
  t.ok(Math.min(...selection.shown.map(({ count }) => count)) > Math.max(...selection.rest.map(({ count }) => count)));
  const page = new MetricPage();
  const family = page.counter('reads', 'Reads');
  await addEach(
    selection,
    slice,
    ({ name }) => ({ export: name }),
    ({ count }, labels) => family.add(labels, count),
  );
  const lines = page.text().split('\n');
  t.same(lines.slice(0, 2), ['# HELP reads Reads', '# TYPE reads counter']);
  const values = lines.filter((line) => line.startsWith('reads')).map((line) => Number(line.split(' ')[1]));
  t.equal(values.length, seriesLimit + 1);
  t.equal(
    values.reduce((sum, value) => sum + value, 0),
    items.reduce((sum, { count }) => sum + count, 0),
  );
  t.equal(lines.filter((line) => /^reads \d+$/.test(line)).length, 1, 'without a label');
});

t.test('labels are escaped', async (t) => {
  const page = new MetricPage();
  page.gauge('g', 'G').add({ export: 'a"b\\c\nd' }, 1);
  t.match(page.text(), 'g{export="a\\"b\\\\c\\nd"} 1');
});

t.test('others have their turn in the middle of long work', async (t) => {
  let turnCount = 0;
  let isDone = false;
  const others = (): void => {
    turnCount += 1;
    if (!isDone) setImmediate(others);
  };
  setImmediate(others);
  const busy = (): number => {
    const endMs = performance.now() + 2;
    while (performance.now() < endMs);
    return 1;
  };
  await select(Array.from({ length: 100 }), new Slice(), busy);
  isDone = true;
  t.ok(turnCount >= 15, `${turnCount} turns within 200 ms of work`);
});
