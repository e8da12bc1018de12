/** What operators ask of a cluster, of whole nodes in this process that share one file. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { errorCode } from '../../src/base/error.js';
import type { SharePolicy } from '../../src/config/schema.js';
import { scriptedServer } from '../origin/http-server.js';
import { until } from '../support/wait.js';
import { addressesOf, startNode } from './clustered-node.js';
import { content, Node } from './node.js';

const sizeBytes = 24 * 1024 * 1024;
const chunkCount = sizeBytes / 65_536;
const bytes = content(sizeBytes, 3);

/** Another try with other ports if somebody took one meanwhile. */
async function startCluster(t: Test, share?: SharePolicy): Promise<{ nodes: Node[]; path: string }> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryCluster(t, share);
    } catch (error) {
      if (errorCode(error) !== 'ERR_LISTEN' || attempt === 3) throw error;
    }
  }
}

async function tryCluster(t: Test, share?: SharePolicy): Promise<{ nodes: Node[]; path: string }> {
  const path = join(t.testdir({}), 'image');
  writeFileSync(path, bytes);
  const addresses = await addressesOf(3);
  const nodes: Node[] = [];
  for (const index of addresses.keys()) nodes.push(await startNode(t, addresses, index, [{ name: 'image', url: path, share }]));
  // All know that all serve the image.
  for (const node of nodes) {
    await until('the nodes to know of each other', async () => {
      const { members } = await node.admin.cluster.status();
      return members.every(({ state }) => state === 'self' || state === 'up');
    });
    if (share !== 'never')
      await until('the nodes to know of each other', async () => (await node.admin.cluster.imageStatus('image')).nodes.length === 3);
  }
  return { nodes, path };
}

function at(nodes: readonly Node[], index: number): Node {
  const node = nodes[index];
  if (node === undefined) throw new Error(`no node ${index}`);
  return node;
}

async function originChunks(nodes: readonly Node[]): Promise<number> {
  let sum = 0;
  for (const node of nodes) sum += (await node.admin.node.explain('image')).origin.chunks;
  return sum;
}

const job = { signal: new AbortController().signal, onProgress: () => {} };

t.test('warmed once, read everywhere, drained, and served without origin and without the drained node', async (t) => {
  const { nodes, path } = await startCluster(t);
  await at(nodes, 0).admin.images.warm('image', { ...job, cluster: true });
  // Those that were read to find its format are not among them.
  const sent = await originChunks(nodes);
  t.ok(sent <= chunkCount && sent > chunkCount - 4, `the origin sent each chunk once: ${sent}`);
  const warmed = await at(nodes, 1).admin.cluster.imageStatus('image');
  t.match(warmed, { shared: true, guard: 'digest', heldChunks: chunkCount, servableWithoutOrigin: 'whole' });
  t.ok(warmed.copies.average < 1.1, 'and each once');
  t.ok(
    warmed.nodes.every(({ heldBytes }) => heldBytes < sizeBytes),
    'spread over its homes',
  );
  t.ok((await at(nodes, 1).readAll('image', sizeBytes)).equals(bytes));
  t.equal(await originChunks(nodes), sent);
  const explained = await at(nodes, 1).admin.node.explain('image');
  t.ok(explained.sources.peer.bytes > 0 && explained.sources.origin.bytes === 0);
  t.match(explained.text[0], /from peers/);

  const drained = await at(nodes, 0).admin.node.drain(job);
  t.match(drained, { safe: true, lastCopiesLeft: 0 });
  await until('the nodes to know of each other', async () => {
    const { members } = await at(nodes, 2).admin.cluster.status();
    return members.some(({ id, state }) => id === 'n0' && state === 'draining');
  });
  await at(nodes, 0).admin.node.undrain();
  t.equal((await at(nodes, 0).admin.cluster.status()).node.draining, false);
  // It alone has what was its own to fetch; the other one comes after it.
  t.match(await at(nodes, 1).admin.node.drain(job), { lastCopiesLeft: 0 });
  await at(nodes, 1).stop();
  t.match(await at(nodes, 0).admin.node.drain(job), { lastCopiesLeft: 0 });
  await at(nodes, 0).stop();
  renameSync(path, `${path}.away`);
  t.ok((await at(nodes, 2).readAll('image', sizeBytes)).equals(bytes), 'the last node has all of it');
});

t.test('a node that comes while the origin is away takes the image as a neighbour has it', async (t) => {
  const server = await scriptedServer(bytes);
  const addresses = await addressesOf(2);
  const images = [{ name: 'image', url: server.url }];
  const first = await startNode(t, addresses, 0, images);
  t.ok((await first.readAll('image', sizeBytes)).equals(bytes));
  await server.close();
  const second = await startNode(t, addresses, 1, images);
  t.ok((await second.readAll('image', sizeBytes)).equals(bytes));
  const [known, adopted] = [await first.admin.images.status('image'), await second.admin.images.status('image')];
  t.same(adopted.identity, known.identity);
  await t.rejects(second.admin.images.add({ name: 'other', url: server.url }), { code: 'ERR_ORIGIN_UNAVAILABLE' }, 'nobody has it');
});

t.test('an image that says never is not shared, and says why', async (t) => {
  const { nodes } = await startCluster(t, 'never');
  const node = at(nodes, 0);
  t.match(await node.admin.cluster.imageStatus('image'), { shared: false, reason: /never/ });
  await t.rejects(node.admin.images.warm('image', { ...job, cluster: true }), { code: 'ERR_NOT_SHARED' });
  t.ok((await node.readAll('image', sizeBytes)).equals(bytes));
  t.ok((await originChunks([node])) > chunkCount - 4, 'all from the origin');
});

t.test('a node whose configuration names its cluster does not move', async (t) => {
  const { nodes } = await startCluster(t);
  await t.rejects(at(nodes, 0).admin.cluster.move('other'), { code: 'ERR_OPTION' });
  t.match(await at(nodes, 0).admin.cluster.status(), { name: 'test', reason: 'as configured', cutOff: false });
});

t.test('a single host explains, and is in no cluster', async (t) => {
  const node = await Node.create(t);
  const url = node.originPath('image');
  writeFileSync(url, bytes.subarray(0, 1_000_000));
  await node.start([{ name: 'image', url }]);
  await node.readAll('image', 1_000_000);
  const { sources, origin, text } = await node.admin.node.explain('image');
  t.equal(sources.cache.bytes + sources.origin.bytes, 1_000_000);
  t.equal(origin.chunks, origin.uniqueChunks);
  t.ok(text.length > 0);
  t.match(await node.admin.cluster.status(), { enabled: false, members: [] });
  await t.rejects(node.admin.node.drain(job), { code: 'ERR_NOT_CLUSTERED' });
});
