/** The pages about the HTTP API and about metrics are as a daemon is. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Agent, request } from 'undici';
import { errorCode } from '../../src/base/error.js';
import { addressesOf, startNode } from '../daemon/clustered-node.js';
import { content, type Node } from '../daemon/node.js';
import { until } from '../support/wait.js';
import { printedRequests } from './http-page.js';
import { labelsOf, metricFamilies } from './metric-page.js';

const docs = fileURLToPath(new URL('../../../docs/', import.meta.url));
const read = (path: string): string => readFileSync(`${docs}${path}`, 'utf8');

t.test('the list of requests', async (t) => {
  const requests = read('reference/http-api.md');
  t.equal(printedRequests(requests, JSON.parse(read('api/openapi.json'))), requests, 'node dist/test/reference/print.js prints them');
});

t.test('a scrape of a node in a cluster has the metrics and labels of the page', async (t) => {
  const path = join(t.testdir({}), 'image');
  writeFileSync(path, content(4 * 65_536, 1));
  const nodes: Node[] = [];
  for (let attempt = 1; nodes.length < 2; attempt += 1) {
    const addresses = await addressesOf(2);
    try {
      for (const index of addresses.keys())
        nodes.push(await startNode(t, addresses, index, [{ name: 'image', url: path, share: 'trust' }]));
    } catch (error) {
      // Another process took a port meanwhile.
      if (errorCode(error) !== 'ERR_LISTEN' || attempt === 3) throw error;
      for (const node of nodes.splice(0)) await node.stop();
    }
  }
  const [node, other] = nodes;
  if (node === undefined || other === undefined) throw new Error('no nodes');
  await node.admin.disks.create({ name: 'disk', image: 'image' });
  for (const each of [node, other]) await each.readAll('image', 4 * 65_536);
  await node.readAll('disk', 65_536);
  let scraped = new Map<string, Family>();
  await until('a series for the ping of the other node', async () => {
    scraped = scrapeOf(await pageOf(node));
    return scraped.get('copse_peer_rtt_seconds')?.labels.size === 1;
  });

  const declared = metricFamilies(fileURLToPath(new URL('../../../src', import.meta.url))).flatMap(([file, metrics]) =>
    metrics.map((metric) => ({ ...metric, file })),
  );
  t.same([...scraped.keys()].sort(), declared.map(({ name }) => name).sort(), 'each metric in both places');
  for (const { file, name, type, help } of declared) {
    const found = scraped.get(name);
    t.match(found, { type, help }, name);
    const expected = labelsOf(file, name).join();
    // A series for a peer that is set aside, or that answered a read, is not there in each run.
    for (const labels of found?.labels ?? []) t.equal(labels, expected, `labels of ${name}`);
  }
  const without = declared.filter(({ name }) => scraped.get(name)?.labels.size === 0).map(({ name }) => name);
  const mayLack = new Set(['copse_peer_set_aside', 'copse_peer_bytes_total', 'copse_peer_failures_total']);
  t.same(
    without.filter((name) => !mayLack.has(name)),
    [],
    'each other metric has a series',
  );
});

interface Family {
  type: string;
  help: string;
  /** Names of labels of its series, joined by commas; "le" is not among them. */
  labels: Set<string>;
}

function scrapeOf(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let family: Family | undefined;
  for (const line of text.split('\n')) {
    const [, name, help] = /^# HELP (copse_\S+) (.*)$/.exec(line) ?? [];
    if (name !== undefined && help !== undefined) {
      family = { type: '', help, labels: new Set() };
      families.set(name, family);
    } else if (family !== undefined && line.startsWith('# TYPE copse_')) {
      family.type = line.split(' ')[3] ?? '';
    } else if (family !== undefined && line.startsWith('copse_')) {
      const labels = [...line.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label);
      family.labels.add(labels.filter((label) => label !== 'le').join());
    }
  }
  return families;
}

async function pageOf(node: Node): Promise<string> {
  const agent = new Agent({ connect: { socketPath: join(node.folder, 'admin') } });
  try {
    return await (await request('http://localhost/metrics', { dispatcher: agent })).body.text();
  } finally {
    await agent.destroy();
  }
}
