/** The comments of each room that is in plain words follow the rules of prose, and the check finds those that do not. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readSource } from '../architecture/imports.js';
import { commentsOf, faults } from './words.js';

/** From dist/test/words. */
const root = fileURLToPath(new URL('../../../', import.meta.url));
/** Folders and files below `src` whose words are not revised yet. */
const unrevised: readonly string[] = [
  'base/native',
  ...['disk/folder', 'disk/knowledge', 'disk/lease', 'disk/operate', 'disk/overlay', 'disk/protocol', 'disk/session'],
];

t.test('the source', async (t) => {
  for (const [path, text] of readSource(`${root}src`)) {
    if (unrevised.some((folder) => path === folder || path.startsWith(`${folder}/`))) continue;
    const found = faults(text, commentsOf(text));
    if (found.length > 0) t.fail(`src/${path}`, { found });
  }
  t.pass('each comment was read');
});

t.test('the check', async (t) => {
  const check = (text: string): string[] => faults(text, commentsOf(text));
  t.same(check('/** Of the map: a byte for each block. */\nexport const a = 1;\n'), ['1: a docstring opens with "Of"']);
  t.same(check('/** Whether it is open. */\nexport const a = 1;\n'), ['1: a docstring opens with "Whether"']);
  t.same(check('export const a = 1;\n// Somebody waits for it.\n'), ['2: "Somebody" names no actor']);
  t.same(check(`/**\n * ${'word '.repeat(25)}\n */\nexport const a = 1;\n`), ['2: 128 columns']);
  t.same(check('/** Offset of the map, in bytes. */\nexport const a = "// Of all";\n'), []);
  t.same(check(`export const a = '${'x '.repeat(60)}'; // a remark\n`), []);
});
