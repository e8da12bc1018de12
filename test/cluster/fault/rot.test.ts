/** Chunks that rotted on one node's disk: they are dropped and fetched again, from the cluster, and no peer gets them. */
import { closeSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { sealUrl } from '../../../src/image/seal-url.js';
import { pattern } from '../../conformance/content.js';
import { ScriptedOrigin } from '../../fault/origin.js';
import { differences } from '../../support/differences.js';
import { shortDir } from '../../support/short-dir.js';
import { until } from '../../support/wait.js';
import { sumOf } from './metric.js';
import { type ClusterNode, imageName, startFleet, total, whole } from './node.js';

const chunkBytes = 64 * 1024;
const bytes = pattern(64 * chunkBytes + 300, 63);
const rottenChunks = [0, 1, 17, 40, 64];

/** Flips a bit in the middle of each of the chunks, in the cache of a node that does not run. */
function rot(node: ClusterNode): void {
  const folder = join(node.state, 'cache');
  const [name, ...others] = readdirSync(folder).filter((each) => each.endsWith('.data'));
  if (name === undefined || others.length > 0) throw new Error(`one content was expected in ${folder}`);
  const descriptor = openSync(join(folder, name), 'r+');
  for (const chunk of rottenChunks) {
    const at = chunk * chunkBytes + 150;
    writeSync(descriptor, Buffer.from([bytes.readUInt8(at) ^ 4]), 0, 1, at);
  }
  closeSync(descriptor);
}

async function tryRot(t: Test, sealed: boolean): Promise<void> {
  const origin = await ScriptedOrigin.start(t, bytes);
  const lines: string[] = [];
  if (sealed) {
    const path = join(shortDir(t), 'image.raw');
    writeFileSync(path, bytes);
    const { manifestPath, digest } = await sealUrl(path, { chunkSizeBytes: chunkBytes });
    lines.push(`manifest = "${manifestPath}"`, `digest = "${digest}"`);
  }
  const nodes = await startFleet(t, { at: 3, images: { [imageName]: origin.url }, imageLines: { [imageName]: lines } });
  const [rotten, well, cold] = nodes;
  if (rotten === undefined || well === undefined || cold === undefined) throw new Error('three nodes were asked for');
  for (const node of [rotten, well]) {
    t.same(await differences(await node.attach(imageName), bytes), []);
    await until(`${node.id} keeps all of it`, async () => (await node.cachedBytes()) === bytes.length);
  }
  await rotten.kill();
  rot(rotten);
  await rotten.start();
  await whole(nodes);
  await origin.stop();
  const asked = origin.requests.length;
  // The cold one asks the rotten one, too, as a home and as a holder.
  t.same(await differences(await cold.attach(imageName), bytes), [], 'a peer');
  t.same(await differences(await rotten.attach(imageName), bytes), [], 'a guest of its own');
  t.equal(origin.requests.length, asked, 'the cluster had all of it');
  t.equal(sumOf(await rotten.metrics(), 'copse_cache_dropped_chunks_total'), rottenChunks.length);
  t.equal(await total(nodes, 'copse_peer_lies_total'), 0, 'nobody was given what rotted');
  await Promise.all([well.kill(), cold.kill()]);
  await until('what was dropped is kept again', async () => (await rotten.cachedBytes()) === bytes.length);
  t.same(await differences(await rotten.attach(imageName), bytes), [], 'alone');
}

t.test('sealed', (t) => tryRot(t, true));
t.test('unsealed', (t) => tryRot(t, false));
