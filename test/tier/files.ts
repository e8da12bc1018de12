/** All test files of the checkout, as paths below `test`. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** In the source tree, seen from dist/test/tier. */
const root = fileURLToPath(new URL('../../../test/', import.meta.url));

export function testFiles(): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
}
