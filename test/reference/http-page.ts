/** The list of requests in docs/reference/http-api.md, printed from docs/api/openapi.json. */
import { markdownTable, replaceSection } from '../support/doc-section.js';

interface Operation {
  summary: string;
  tags: string[];
  requestBody?: { content: Record<string, { schema: { properties?: Record<string, unknown>; required?: string[] } }> };
  responses: Record<string, { content?: Record<string, unknown> }>;
  parameters?: { in: string; name: string }[];
}

export interface OpenApi {
  paths: Record<string, Record<string, Operation>>;
}

/** @returns the page with the list as it is now. @throws CopseError `ERR_OPTION` for a page without a section */
export function printedRequests(page: string, { paths }: OpenApi): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );
  return ['node', 'image', 'disk', 'cluster'].reduce((text, tag) => {
    const rows = operations
      .filter(({ operation }) => operation.tags.includes(tag))
      .map(({ path, method, operation }) => [`\`${method} ${path}\``, fieldsOf(operation), answerOf(operation), operation.summary]);
    return replaceSection(text, tag, markdownTable(['request', 'fields', 'answer', 'meaning'], rows));
  }, page);
}

/** Fields of the body, and of the query with a leading `?`; those that may be absent end in `?`. */
function fieldsOf({ requestBody, parameters = [] }: Operation): string {
  const query = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => `\`?${name}\``);
  const { properties = {}, required = [] } = Object.values(requestBody?.content ?? {})[0]?.schema ?? {};
  const body = Object.keys(properties).map((name) => `\`${name}${required.includes(name) ? '' : '?'}\``);
  return [...query, ...body].join(', ');
}

function answerOf({ responses }: Operation): string {
  if ('204' in responses) return '204';
  return 'application/x-ndjson' in (responses['200']?.content ?? {}) ? 'lines' : '200';
}
