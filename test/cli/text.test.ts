import t from 'tap';
import { exportUri } from '../../src/cli/describe.js';
import { formatList, formatTable } from '../../src/cli/table.js';
import { formatDeadline, formatMs, formatPart, formatSeconds } from '../../src/cli/text.js';

t.test('durations', async (t) => {
  for (const [seconds, text] of [
    [0, '0s'],
    [0.4, '0s'],
    [59.6, '1m'],
    [200, '3m 20s'],
    [7500, '2h 5m'],
    [86_400, '1d'],
    [349_200, '4d 1h'],
  ] as const) {
    t.equal(formatSeconds(seconds), text);
  }
  t.equal(formatDeadline(0), 'none, requests wait for ever');
  t.equal(formatDeadline(1500), '1500ms');
  t.equal(formatDeadline(120_000), '2m');
});

t.test('waits', async (t) => {
  for (const [ms, text] of [
    [0, '0 ms'],
    [0.0001, '1 µs'],
    [0.184, '184 µs'],
    [1.26, '1.3 ms'],
    [12.4, '12 ms'],
    [999.4, '999 ms'],
    [999.6, '1 s'],
    [2400, '2.4 s'],
    [59_600, '1m'],
  ] as const) {
    t.equal(formatMs(ms), text);
  }
});

t.test('parts', async (t) => {
  t.equal(formatPart(1023, 1024), '1023 B of 1 KiB (99 %)', '100 only when nothing is left');
  t.equal(formatPart(0, 0), '0 B of 0 B (100 %)');
});

t.test('URIs of exports', async (t) => {
  t.equal(exportUri('nbd+unix:///?socket=/run/a.sock', 'a/b'), 'nbd+unix:///a/b?socket=/run/a.sock');
  t.equal(exportUri('nbd://127.0.0.1:10809', 'a'), 'nbd://127.0.0.1:10809/a');
  t.equal(exportUri('nbd://127.0.0.1:10809', 'a/b #c?%'), 'nbd://127.0.0.1:10809/a/b%20%23c%3F%25');
  t.equal(exportUri('nbd://[::1]:10809/', 'a'), 'nbd://[::1]:10809/a');
});

t.test('tables are lines without borders', async (t) => {
  t.equal(
    formatTable(
      ['name', 'size'],
      [
        ['a', '1 GiB'],
        ['long-name', ''],
      ],
    ),
    'NAME       SIZE\na          1 GiB\nlong-name',
  );
  t.equal(
    formatList([
      ['a', '1'],
      ['bcd', undefined],
      ['e', 'x\ny'],
    ]),
    'a  1\ne  x\n   y',
  );
});
