import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { markdownTable, replaceSection, wrapped } from '../../support/doc-section.js';
import { packageRoot } from './place.js';
import { figurePages } from './publish.js';
import { render, rowOf } from './report.js';

t.test('only what lies between the markers is replaced', async (t) => {
  const page = 'a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb <!-- y:begin -->\n<!-- y:end -->\n';
  t.equal(replaceSection(page, 'x', 'new\n'), 'a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb <!-- y:begin -->\n<!-- y:end -->\n');
  t.throws(() => replaceSection(page, 'z', ''), { code: 'ERR_OPTION' });
});

t.test('each section of figures has its page', async (t) => {
  for (const [section, path] of Object.entries(figurePages)) {
    const page = readFileSync(join(packageRoot, path), 'utf8');
    t.match(replaceSection(page, section, 'new'), `<!-- ${section}:begin -->\nnew\n<!-- ${section}:end -->`, path);
  }
});

t.test('a paragraph is wrapped between words', async (t) => {
  const lines = wrapped(Array(60).fill('word').join(' '), '  ').split('\n');
  t.same(
    lines.map((line) => line.length),
    [99, 96, 96, 11],
  );
  t.equal(lines[3], '  word word');
});

t.test('a row says what was wanted and whether it was met', async (t) => {
  const rounds = {
    measure: { unit: 'IOPS', better: 'higher' as const },
    samples: { copse: [{ value: 90, cpuUsPerOperation: 5 }], nbdkit: [{ value: 100 }] },
  };
  const row = rowOf('work', rounds, 'nbdkit', 0.9, 'nbdkit file');
  t.match(row, {
    against: 'nbdkit file',
    measured: '0.90× (0.90-0.90)',
    wanted: '≥ 0.9×',
    met: true,
    copse: '90.0 IOPS',
    copseCpu: '5.00 µs',
    peerCpu: '',
  });
  t.equal(rowOf('work', rounds, 'nbdkit', 'ahead').met, false);
  t.equal(rowOf('work', rounds, 'nbdkit', undefined).met, undefined);
  const text = render([{ rows: [row], extras: [{ title: 'More', head: ['h'], rows: [['c']] }], samples: [] }], markdownTable);
  t.match(text, /^\| work \| against .*\n\| --- .*\n\| work \| nbdkit file \| 0\.90× .* \| met \| /);
  t.match(text, /\n\nMore\n\n\| h \|\n\| --- \|\n\| c \|$/);
});
