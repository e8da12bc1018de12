/** A disk's files as another node reads them: a real overlay, its map and its blocks, and a copy that is made of them. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../../src/base/native/loader.js';
import { BlockState, blockBytes, type NativeOverlayFile } from '../../../src/base/native/overlay.js';
import { PeerBlocks } from '../../../src/peer/client/blocks.js';
import { readPeerMap } from '../../../src/peer/client/map.js';
import { pattern } from '../../conformance/content.js';
import { codeOf, TestDisks, uuid } from '../disk-server.js';
import { servePeers } from '../peer-server.js';

const blockCount = 2048;
const sizeBytes = blockCount * blockBytes;

function openOverlay(t: Test, name: string): NativeOverlayFile {
  const folder = t.testdir({ [name]: {} });
  const paths = { dataPath: join(folder, name, 'overlay.data'), mapPath: join(folder, name, 'map') };
  const overlay = native.openOverlayFile({ ...paths, sizeBytes, recordsOffset: 4096, recordSeed: 7 });
  t.after(() => overlay.close());
  return overlay;
}

async function stand(t: Test) {
  const overlay = openOverlay(t, 'there');
  const contents = new TestDisks('a');
  contents.blocks = async () => ({ overlay, release: () => {} });
  contents.map = async (_uuid, { takeChanges }) => ({
    blockCount,
    copy: (target) => overlay.copyMap(target, 0, 0, blockCount, takeChanges),
    release: () => {},
  });
  const { address } = await servePeers(t, contents);
  const peer = { id: 'a', address };
  const blocks = new PeerBlocks({ peer, uuid, sizeBytes, selfId: 'b', connectTimeoutMs: 60_000 });
  t.after(() => blocks.destroy('the test is over'));
  const map = (takeChanges: boolean) => readPeerMap(peer, uuid, blockCount, { selfId: 'b', takeChanges });
  return { overlay, blocks, map };
}

t.test('what was written is in the map, and can be read; what was not, can not', async (t) => {
  const { overlay, blocks, map } = await stand(t);
  const bytes = pattern(5 * blockBytes);
  await overlay.write(bytes, 0, bytes.length, 100 * blockBytes, undefined);
  await overlay.trim(102 * blockBytes, blockBytes);
  bytes.fill(0, 2 * blockBytes, 3 * blockBytes);
  const wanted = new Uint8Array(blockCount);
  wanted.fill(BlockState.data, 100, 105);
  wanted[102] = BlockState.zero;
  t.same(await map(false), wanted);
  const target = Buffer.alloc(bytes.length);
  await blocks.read(target, 100 * blockBytes);
  t.ok(target.equals(bytes));
  t.equal(await codeOf(blocks.read(target, 101 * blockBytes)), 'ERR_PEER_REFUSED', 'the last one is base');
  t.equal(await codeOf(blocks.read(Buffer.alloc(blockBytes), 0)), 'ERR_PEER_REFUSED');
});

t.test('a copy follows by what changed, and misses nothing that is written while it is made', async (t) => {
  const { overlay, blocks, map } = await stand(t);
  overlay.trackChanges(true, true);
  const copy = Buffer.alloc(sizeBytes);
  const write = async (block: number, seed: number): Promise<void> => {
    await overlay.write(pattern(blockBytes, seed), 0, blockBytes, block * blockBytes, undefined);
  };
  for (let block = 0; block < 300; block += 3) await write(block, block + 1);
  let copiedCount = 0;
  const follow = async (onRound: () => Promise<void>): Promise<void> => {
    const states = await map(true);
    await onRound();
    for (const [block, byte] of states.entries()) {
      if ((byte & 4) === 0) continue;
      copiedCount += 1;
      await blocks.read(copy.subarray(block * blockBytes, (block + 1) * blockBytes), block * blockBytes, { background: true });
    }
  };
  await follow(() => write(3, 1000));
  await follow(() => write(2047, 1001));
  await follow(async () => {});
  t.equal(copiedCount, 102);
  const there = Buffer.alloc(blockBytes);
  for (let block = 0; block < blockCount; block += 1) {
    const isThere = await overlay.read(there, 0, blockBytes, block * blockBytes);
    const wanted = isThere ? there : Buffer.alloc(blockBytes);
    if (!copy.subarray(block * blockBytes, (block + 1) * blockBytes).equals(wanted)) t.fail(`block ${block}`);
  }
  t.notOk((await map(true)).some((byte) => (byte & 4) !== 0));
});
