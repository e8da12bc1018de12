/** Each test file is in one tier, and the check finds a table that is wrong. */
import t from 'tap';
import { testFiles } from './files.js';
import { filesOf, tableFaults, tierNames, tierOf, tierTable } from './tier.js';

const paths = testFiles();

t.test('the table', async (t) => {
  t.same(tableFaults(paths, tierTable), []);
  t.same(tierNames.flatMap((tier) => filesOf(tier, paths)).sort(), paths, 'the tiers are all files, each once');
});

t.test('the check', async (t) => {
  const table = { quick: ['a/'], system: ['a/b/', 'a/c.test.ts'], vm: [], native: [] };
  t.equal(tierOf('a/x.test.ts', table), 'quick');
  t.equal(tierOf('a/b/x.test.ts', table), 'system');
  t.same(tableFaults(['a/x.test.ts', 'a/b/x.test.ts', 'a/c.test.ts'], table), []);
  t.same(tableFaults(['a/x.test.ts', 'z/x.test.ts', 'a/b/y.test.ts', 'a/c.test.ts'], table), ['z/x.test.ts is in no tier']);
  t.same(tableFaults(['a/c.test.ts'], { ...table, system: ['a/b/', 'a/c.test.ts'] }), ['a/b/ names no test file']);
  t.same(tableFaults(['a/c.test.ts'], { ...table, system: ['a/'] }), ['a/ is named twice']);
});
