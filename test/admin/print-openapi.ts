/** Writes docs/api/openapi.json. Usage: node dist/test/admin/print-openapi.js */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { openApiPath, readOpenApi } from './openapi.js';

mkdirSync(dirname(openApiPath), { recursive: true });
writeFileSync(openApiPath, await readOpenApi());
