/** Which names images and disks can have, and which an earlier version let them have. */
import t from 'tap';
import { checkExportName, checkKnownName, isDashed } from '../../src/base/export-name.js';

t.test('names', async (t) => {
  for (const name of ['a', '9', '_', 'debian-12', 'os/debian_12.raw', 'a/b.c_d', 'a/..b', 'a/b..', 'x'.repeat(255)]) {
    t.equal(checkExportName(name), name);
    t.equal(checkKnownName(name), name);
  }
  const wrong = ['', '.', '.a', '/a', 'a b', 'ä', 'x'.repeat(256), 'a\n', 'a?b', 'a%2f', 'a/../b', 'a/..', 'a/./b', 'a/.', '../a'];
  for (const name of wrong) {
    t.throws(() => checkExportName(name), { code: 'ERR_NAME' }, JSON.stringify(name));
    t.throws(() => checkKnownName(name), { code: 'ERR_NAME' }, JSON.stringify(name));
  }
});

t.test('a name that begins with a dash is only kept', async (t) => {
  for (const name of ['-', '-x', '--force']) {
    t.throws(() => checkExportName(name), { code: 'ERR_NAME' }, name);
    t.equal(checkKnownName(name), name);
    t.equal(isDashed(name), true);
  }
  t.equal(isDashed('a-b'), false);
});
