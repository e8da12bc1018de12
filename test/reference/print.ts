/** Prints the pages of docs/reference that follow from the source. Usage: node dist/test/reference/print.js */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printedErrors } from './error-page.js';
import { printedRequests } from './http-page.js';
import { printedMetrics } from './metric-page.js';

/** From dist/test/reference. */
const root = fileURLToPath(new URL('../../../', import.meta.url));
writeFileSync(`${root}docs/reference/errors.md`, printedErrors());
writeFileSync(`${root}docs/reference/metrics.md`, printedMetrics(`${root}src`));
const requests = `${root}docs/reference/http-api.md`;
writeFileSync(requests, printedRequests(readFileSync(requests, 'utf8'), JSON.parse(readFileSync(`${root}docs/api/openapi.json`, 'utf8'))));
