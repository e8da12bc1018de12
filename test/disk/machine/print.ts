/** Prints the table of ownership into docs/architecture/ownership.md. Usage: node dist/test/disk/machine/print.js */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printed } from './page.js';

const page = fileURLToPath(new URL('../../../../docs/architecture/ownership.md', import.meta.url));
writeFileSync(page, printed(readFileSync(page, 'utf8')));
