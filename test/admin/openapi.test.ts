/** The OpenAPI document in docs is the one that the server gives. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { openApiPath, readOpenApi } from './openapi.js';

t.test('docs/api/openapi.json', async (t) => {
  t.equal(readFileSync(openApiPath, 'utf8'), await readOpenApi(), 'it is as the server gives it: node dist/test/admin/print-openapi.js');
});
