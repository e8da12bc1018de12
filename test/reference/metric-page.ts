/**
 * The page of metrics, printed from the calls in `src/daemon/metrics` that make their families.
 *
 * A family that is made with a name or help that is no literal can't be printed: it is an error.
 */
import ts from 'typescript';
import { CopseError } from '../../src/base/error.js';
import { readSource } from '../architecture/imports.js';
import { markdownTable } from '../support/doc-section.js';

const head = `# Metrics

<!-- Printed by dist/test/reference/print.js from src/daemon/metrics. -->

This page is for operators who collect metrics. \`GET /metrics\` of the [HTTP API](http-api.md)
answers in Prometheus' text format. Metrics of Node.js itself (\`process_…\`, \`nodejs_…\`) come along.

- Counters (\`…_total\`) and histograms count since the daemon was started.
- A series exists once something happened to its object.
- Labels: \`export\` and \`disk\` are names. \`peer\` is the id of a node. \`origin\`, \`format\` and
  \`content\` name a content.
- Of exports, disks and contents at most 500 each have series of their own: those with clients
  first, then those with most requests. The rest counts together in one series without these
  labels, so sums over a metric stay right.
- Histograms cover all exports together.
- What [native threads](../architecture/fast-path.md) answered counts in \`copse_export_…\` as well as
  in \`copse_fast_path_…\`.
`;

interface Family {
  name: string;
  type: string;
  help: string;
}

const parts: readonly (readonly [file: string, title: string])[] = [
  ['metrics.ts', 'The daemon'],
  ['export.ts', 'Exports'],
  ['disk.ts', 'Disks'],
  ['content.ts', 'Contents: caches and origins'],
  ['cluster.ts', 'The cluster'],
];

/** @returns the whole page. @throws CopseError `ERR_OPTION` for a family that can't be read, or a file without a part */
export function printedMetrics(sourceFolder: string): string {
  const families = new Map(metricFamilies(sourceFolder));
  const sections = parts.map(([file, title]) => {
    const rows = (families.get(file) ?? []).map(({ name, type, help }) => [`\`${name}\``, type, help]);
    families.delete(file);
    return `## ${title}\n\n${markdownTable(['metric', 'type', 'meaning'], rows)}\n`;
  });
  const left = [...families].filter(([, found]) => found.length > 0).map(([file]) => file);
  if (left.length > 0) throw new CopseError('ERR_OPTION', `no part of the page of metrics is for ${left.join(', ')}`);
  return [head, ...sections].join('\n');
}

function metricFamilies(sourceFolder: string): [file: string, families: Family[]][] {
  return [...readSource(`${sourceFolder}/daemon/metrics`)].map(([file, text]) => [file, familiesOf(file, text)]);
}

function familiesOf(file: string, text: string): Family[] {
  const families: Family[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && node.expression.expression.getText() === 'page') {
      const type = node.expression.name.text;
      if (type !== 'text') families.push(family(file, type, node.arguments));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return families;
}

function family(file: string, type: string, [name, help]: readonly ts.Expression[]): Family {
  if (name === undefined || help === undefined || !ts.isStringLiteralLike(name) || !ts.isStringLiteralLike(help)) {
    throw new CopseError('ERR_OPTION', `${file} makes a metric whose name or help is no literal`);
  }
  return { name: name.text, type, help: help.text };
}
