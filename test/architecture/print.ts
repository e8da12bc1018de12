/** Prints the table of rooms into docs/architecture/overview.md. Usage: node dist/test/architecture/print.js */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printed } from './page.js';

const page = fileURLToPath(new URL('../../../docs/architecture/overview.md', import.meta.url));
writeFileSync(page, printed(readFileSync(page, 'utf8')));
