/** Every import of every file of `src` follows the table of rooms, and the checks find what does not. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { fileCircles, forbiddenImports, importsOf, readSource, unusedPermissions, upwardPermissions } from './imports.js';
import { printed } from './page.js';
import { type Room, rooms } from './rooms.js';

/** From dist/test/architecture. */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const imports = importsOf(readSource(`${root}src`));

t.test('the source', async (t) => {
  t.ok(imports.size > 400, `${imports.size} files`);
  t.same(forbiddenImports(imports, rooms), [], 'each import is permitted');
  t.same(unusedPermissions(imports, rooms), [], 'each permission is used');
  t.same(upwardPermissions(rooms), [], 'a room imports only rooms above it');
  t.same(fileCircles(imports), [], 'no circle among files');
  t.same(
    [...imports].filter(([, targets]) => targets.includes('node:module')).map(([path]) => path),
    ['base/native/loader.ts'],
    'only the loader of the addon makes a `require`',
  );
});

t.test('the page', async (t) => {
  const page = readFileSync(`${root}docs/architecture/overview.md`, 'utf8');
  t.equal(printed(page), page, 'docs/architecture/overview.md has the table as it is: node dist/test/architecture/print.js');
});

t.test('the checks', async (t) => {
  const table: Room[] = [
    { room: 'low', imports: [], knows: '', ignores: '' },
    { room: 'high', imports: ['low', 'high/floor'], knows: '', ignores: '' },
    { room: 'high/floor', imports: ['low/b.ts'], knows: '', ignores: '' },
  ];
  const given = importsOf(
    new Map([
      ['low/a.ts', "import type { B } from './b.js';"],
      ['low/b.ts', "export type A = import('./a.js').A;"],
      ['low/c.ts', "export * from '../high/a.js';"],
      ['high/a.ts', "export const b = () => import('../low/b.js');"],
      ['high/floor/a.ts', "import { a } from '../../low/a.js';"],
      ['high/floor/b.ts', "import '../../low/b.js';"],
      ['elsewhere/a.ts', "import '../low/b.js';"],
    ]),
  );
  t.same(forbiddenImports(given, table), [
    'low/c.ts imports high/a.ts: low may not import high',
    'high/floor/a.ts imports low/a.ts: high/floor may not import low',
    'elsewhere/a.ts lies in no room',
  ]);
  t.same(unusedPermissions(given, table), ['high -> high/floor']);
  t.same(upwardPermissions(table), ['high -> high/floor']);
  t.same(fileCircles(given), [['low/a.ts', 'low/b.ts']]);
});
