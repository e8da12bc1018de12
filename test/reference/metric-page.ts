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

\`\`\`sh
curl -s --unix-socket /var/lib/copse/admin.sock http://localhost/metrics | grep copse_cache_used
\`\`\`

\`\`\`
# HELP copse_cache_used_bytes Bytes of all caches on this host’s disk
# TYPE copse_cache_used_bytes gauge
copse_cache_used_bytes 75235336
\`\`\`

Prometheus reaches the daemon over TCP (\`admin\` in the [configuration](configuration.md#top-level)),
with the token of \`admin_token_file\` as its bearer token.

## What to watch

| metric | look at the host when |
| --- | --- |
| \`copse_disk_data_lost\` | it is 1: [a sync failed](../operating/disks.md#when-a-sync-fails) |
| \`copse_disk_files\` | \`state="unlinked"\` or \`state="read-only"\` is 1 |
| \`copse_cache_state\` | \`state="broken"\` is 1: the host's disk fails. With \`full\`, new chunks are not kept |
| \`copse_export_errors_total\` | it grows: clients get I/O errors |
| \`copse_cluster_cut_off\` | it is 1: no other node answers |
| \`copse_cluster_membership_well\` | it is 0: etcd does not answer, and the last known members are in force |
| \`copse_peer_set_aside\` | there is a series with 1: a peer sent wrong bytes |
| \`copse_refused_connections_total\` | it grows: raise \`connections\` of \`[limit]\` |

## Series

- Counters (\`…_total\`) and histograms count since the daemon was started.
- A series exists once something happened to its object.
- \`export\` and \`disk\` are names. \`peer\` is the id of a node. \`origin\`, \`format\` and \`content\`
  name a content; \`content\` is its id on this node.
- \`source\` is the farthest place that a read's bytes came from: \`cache\`, \`peer\` or \`origin\`.
- \`role\` is the kind of a peer's [export](peer-protocol.md#exports). \`priority\` is the kind of a
  request: \`demand\`, \`background\` or \`prefetch\`.
- Of exports, disks and contents at most 500 each have series of their own: those with clients
  first, then those with most requests. The rest counts together in one series without these
  labels, so sums over a metric stay right. \`copse_images\` and \`copse_disks\` count all of them.
- Histograms cover all exports together. Their buckets are powers of two from 1 µs to 34 s.
- What [native threads](../architecture/fast-path.md) answered counts in \`copse_export_…\` as well as
  in \`copse_fast_path_…\`.
- A node that is in no cluster has none of the cluster's metrics.
`;

export interface Family {
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

const content = ['origin', 'format', 'content'];
/** Labels of the metrics of each file, and of the metrics that differ from their file. */
const labels: Readonly<Record<string, readonly string[]>> = {
  'metrics.ts': [],
  'export.ts': ['export'],
  'disk.ts': ['disk'],
  'content.ts': content,
  'cluster.ts': content,
  copse_cache_state: ['state'],
  copse_export_reads_total: ['export', 'source'],
  copse_export_read_bytes_total: ['export', 'source'],
  copse_export_read_seconds: ['source'],
  copse_export_write_seconds: [],
  copse_disks: [],
  copse_disk_files: ['disk', 'state'],
  copse_origin_requests_total: [...content, 'priority'],
  copse_origin_seconds: [],
  copse_cluster_members: ['state'],
  copse_cluster_cut_off: [],
  copse_cluster_membership_well: [],
  copse_peer_breaker: ['peer', 'state'],
  copse_peer_rtt_seconds: ['peer'],
  copse_peer_served_bytes_total: ['role'],
  copse_peer_served_reads_total: ['role', 'source'],
  copse_peer_served_errors_total: ['role'],
  copse_peer_requests_total: [...content, 'role'],
  copse_peer_bytes_total: [...content, 'peer'],
  copse_peer_failures_total: [...content, 'peer'],
  copse_peer_hedges_total: [...content, 'won'],
  copse_peer_set_aside: [...content, 'peer'],
};

/** Labels of a metric that a file declares, in the order of a scrape. A test compares them with one. */
export function labelsOf(file: string, name: string): readonly string[] {
  return labels[name] ?? labels[file] ?? [];
}

/** @returns the whole page. @throws CopseError `ERR_OPTION` for a family that can't be read, or a file without a part */
export function printedMetrics(sourceFolder: string): string {
  const families = new Map(metricFamilies(sourceFolder));
  const sections = parts.map(([file, title]) => {
    const rows = (families.get(file) ?? []).map((found) => {
      const names = labelsOf(file, found.name).map((label) => `\`${label}\``);
      return [`\`${found.name}\``, found.type, unitOf(found), names.join(', '), found.help];
    });
    families.delete(file);
    return `## ${title}\n\n${markdownTable(['metric', 'type', 'unit', 'labels', 'meaning'], rows)}\n`;
  });
  const left = [...families].filter(([, found]) => found.length > 0).map(([file]) => file);
  if (left.length > 0) throw new CopseError('ERR_OPTION', `no part of the page of metrics is for ${left.join(', ')}`);
  return [head, ...sections].join('\n');
}

/** Metrics of each file of `src/daemon/metrics`. */
export function metricFamilies(sourceFolder: string): [file: string, families: Family[]][] {
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

function unitOf({ name, help }: Family): string {
  if (name.includes('_bytes')) return 'bytes';
  if (name.endsWith('_seconds')) return 'seconds';
  if (/^[01] /.test(help)) return '0 or 1';
  if (name.endsWith('_ratio')) return 'ratio';
  return name.includes('_chunks') ? 'chunks' : 'number';
}
