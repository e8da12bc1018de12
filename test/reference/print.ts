/** Prints the pages of docs/reference that follow from the source. Usage: node dist/test/reference/print.js */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printedErrors } from './error-page.js';

writeFileSync(fileURLToPath(new URL('../../../docs/reference/errors.md', import.meta.url)), printedErrors());
