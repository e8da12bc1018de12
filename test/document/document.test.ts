/** The pages follow the rules of prose, their links lead somewhere, and each page is found from the index. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { printedErrors } from '../reference/error-page.js';
import { printedMetrics } from '../reference/metric-page.js';
import { anchorsOfPage, linksOf, type Page, pageFaults } from './document.js';

/** From dist/test/document. */
const root = fileURLToPath(new URL('../../../', import.meta.url));
/** Folders that programs make. */
const made = new Set(['.git', '.tap', 'build', 'dist', 'node_modules', 'prebuilds']);
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
// Not asked of git: CI's user has a copy without it.
const pages: readonly Page[] = [...pathsBelow('')].filter((path) => path.endsWith('.md')).map((path) => ({ path, text: read(path) }));

t.test('the pages', async (t) => {
  const anchors = new Map(pages.map(({ path, text }) => [path, anchorsOfPage(text)]));
  for (const page of pages) {
    const found = pageFaults(
      page,
      (path) => existsSync(`${root}${path}`),
      (path) => anchors.get(path) ?? new Set(),
    );
    if (found.length > 0) t.fail(page.path, { found });
  }
  t.ok(pages.length > 30, 'all of them were read');
});

t.test('the index leads to each page', async (t) => {
  const reached = new Set<string>();
  const waiting = ['docs/index.md'];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path) || !path.endsWith('.md')) continue;
    reached.add(path);
    for (const line of read(path).split('\n')) {
      for (const target of linksOf(line)) {
        const [file = ''] = target.split('#');
        if (file !== '' && !file.includes(':')) waiting.push(posix.join(posix.dirname(path), file));
      }
    }
  }
  for (const { path } of pages) if (path.startsWith('docs/')) t.ok(reached.has(path), path);
});

t.test('pages that are printed from the source', async (t) => {
  t.equal(printedErrors(), read('docs/reference/errors.md'), 'node dist/test/reference/print.js prints it');
  t.equal(printedMetrics(`${root}src`), read('docs/reference/metrics.md'), 'node dist/test/reference/print.js prints it');
});

t.test('the check', async (t) => {
  const check = (text: string): string[] =>
    pageFaults(
      { path: 'docs/page.md', text },
      (path) => ['docs/page.md', 'docs/other.md', 'src/base'].includes(path),
      (path) => new Set(path === 'docs/other.md' ? ['a-section'] : []),
    );
  t.same(check('word '.repeat(25).trim()), ['1: 124 columns']);
  t.same(check(`| ${'word '.repeat(45).trim()} |`), ['1: a cell of 224 characters']);
  t.same(check('Nobody waits for it.'), ['1: "Nobody" names no actor']);
  t.same(check('See [it](other.md#a-section) and [that](other.md#none).'), ['1: no section at other.md#none']);
  t.same(check('See [it](none.md).'), ['1: no file at none.md']);
  t.same(check('See `src/none/file.ts` and `src/base/`.'), ['1: no file at src/none/file.ts']);
  t.same(check('<img src="none.svg" alt="a read">'), ['1: no file at none.svg']);
  t.same(check(`- https://example.org/${'x'.repeat(100)}`), [], 'an address can not be broken');
  t.same(check(`${'word '.repeat(18)}https://example.org/${'x'.repeat(60)}`), ['1: 170 columns'], 'a line can be broken before an address');
  t.same(check('See [it](https://example.org/none) and `[that](none.md)`.'), []);
  t.same(check(`\`\`\`\n${'x '.repeat(80)}nobody\n\`\`\``), []);
  t.same([...anchorsOfPage('# One\n\n## The `<disk>` element, twice\n')], ['one', 'the-disk-element-twice']);
  t.same([...anchorsOfPage('# One\n\n## One\n')], ['one', 'one-1'], 'equal headings are numbered');
});

function* pathsBelow(folder: string): Generator<string> {
  for (const entry of readdirSync(`${root}${folder}`, { withFileTypes: true })) {
    if (made.has(entry.name)) continue;
    if (entry.isDirectory()) yield* pathsBelow(`${folder}${entry.name}/`);
    else yield `${folder}${entry.name}`;
  }
}
