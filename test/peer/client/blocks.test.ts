/** Blocks of another node's overlay: two ends over real sockets. */
import t, { type Test } from 'tap';
import { BlockState, blockBytes } from '../../../src/base/native/overlay.js';
import { PeerBlocks, type PeerBlocksOptions } from '../../../src/peer/client/blocks.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { pattern } from '../../conformance/content.js';
import { holds } from '../../support/wait.js';
import { codeOf, MemoryOverlay, TestDisks, uuid } from '../disk-server.js';
import { nobody, servePeers } from '../peer-server.js';

const blockCount = 256;
const sizeBytes = blockCount * blockBytes;
const { data, zero, remote } = BlockState;

/** Data, with zeros in 8 to 15, base in 16, remote in 17. */
function overlay(): MemoryOverlay {
  const subject = new MemoryOverlay(pattern(sizeBytes, 3));
  subject.states.fill(data);
  subject.states.fill(zero, 8, 16);
  subject.content.fill(0, 8 * blockBytes, 16 * blockBytes);
  subject.states[16] = BlockState.base;
  subject.states[17] = remote | (1 << 3);
  return subject;
}

async function stand(t: Test, options: Partial<PeerBlocksOptions> = {}) {
  const subject = overlay();
  const contents = new TestDisks('a');
  const opened: string[] = [];
  contents.blocks = async (wanted, from) => {
    if (wanted !== uuid) return undefined;
    opened.push(from);
    return { overlay: subject, release: () => void opened.pop() };
  };
  const served = await servePeers(t, contents);
  const blocks = new PeerBlocks({
    peer: { id: 'a', address: served.address },
    uuid,
    sizeBytes,
    selfId: 'b',
    retryMs: 5,
    connectTimeoutMs: 60_000,
    ...options,
  });
  t.after(() => blocks.destroy('the test is over'));
  return { subject, contents, opened, served, blocks };
}

t.test('blocks that are there are read, whether cached or not', async (t) => {
  const { subject, blocks, opened } = await stand(t);
  for (const isCached of [false, true]) {
    subject.isCached = isCached;
    subject.readCount = 0;
    for (const [first, end] of [
      [0, 1],
      [0, 16],
      [8, 16],
      [18, blockCount],
    ] as const) {
      const target = Buffer.alloc((end - first) * blockBytes, 0xee);
      await blocks.read(target, first * blockBytes);
      t.ok(target.equals(subject.content.subarray(first * blockBytes, end * blockBytes)), `${first} to ${end}`);
    }
    t.equal(subject.readCount > 0, !isCached);
  }
  t.same(opened, ['b']);
});

t.test('what is not all there fails, whole, and is no lost connection', async (t) => {
  const { blocks } = await stand(t);
  for (const [first, end] of [
    [15, 17],
    [16, 17],
    [17, 18],
    [0, blockCount],
  ] as const) {
    const target = Buffer.alloc((end - first) * blockBytes);
    t.equal(await codeOf(blocks.read(target, first * blockBytes)), 'ERR_PEER_REFUSED', `${first} to ${end}`);
  }
  t.equal(await codeOf(blocks.read(Buffer.alloc(blockBytes), 0)), 'none');
});

t.test('demand and background have connections of their own, closed when they are idle', async (t) => {
  const clock = new ManualClock();
  const { blocks, opened } = await stand(t, { clock, idleMs: 1000 });
  await blocks.read(Buffer.alloc(blockBytes), 0);
  await blocks.read(Buffer.alloc(blockBytes), 0, { background: true });
  await blocks.read(Buffer.alloc(blockBytes), 0, { background: true });
  t.equal(opened.length, 2);
  clock.advance(1000);
  await holds(() => opened.length === 0);
  await blocks.read(Buffer.alloc(blockBytes), 0);
  t.equal(opened.length, 1, 'and made again');
});

t.test('background takes memory of its own', async (t) => {
  const { served } = await stand(t);
  const { directory } = served;
  const [demand, background, disk] = await Promise.all(
    [`blocks/${uuid};from=b`, `blocks/${uuid};from=b;background`, `blocks/${uuid};from=c`].map((name) => directory.open(name, nobody)),
  );
  t.ok(demand?.memory !== undefined && background?.memory !== undefined);
  t.not(demand?.memory, background?.memory);
  t.equal(demand?.memory, disk?.memory);
  for (const opened of [demand, background, disk]) opened?.release();
});

t.test('demand waits for a node that restarts, background is told at once', async (t) => {
  const { blocks, served, contents, subject } = await stand(t);
  await served.server.stop(0);
  t.equal(await codeOf(blocks.read(Buffer.alloc(blockBytes), 0, { background: true })), 'ERR_PEER_GONE');
  const keepAlive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keepAlive));
  t.equal(await codeOf(blocks.read(Buffer.alloc(blockBytes), 0, { deadlineMs: 50 })), 'ERR_PEER_GONE');
  const target = Buffer.alloc(blockBytes);
  const reading = blocks.read(target, blockBytes, { deadlineMs: 60_000 });
  await servePeers(t, contents, { address: served.address });
  await reading;
  t.ok(target.equals(subject.content.subarray(blockBytes, 2 * blockBytes)));
});

t.test('an overlay from before the disk grew will do; a larger one is a lie; none is a refusal', async (t) => {
  const { served, opened } = await stand(t);
  const at = (options: Partial<PeerBlocksOptions>) => {
    const blocks = new PeerBlocks({ peer: { id: 'a', address: served.address }, uuid, sizeBytes, selfId: 'b', ...options });
    t.after(() => blocks.destroy('the test is over'));
    return blocks;
  };
  const grown = at({ sizeBytes: sizeBytes * 2 });
  t.equal(await codeOf(grown.read(Buffer.alloc(blockBytes), 0)), 'none');
  t.equal(await codeOf(grown.read(Buffer.alloc(blockBytes), sizeBytes)), 'ERR_PEER_REFUSED', 'beyond its end');
  t.equal(await codeOf(at({ sizeBytes: sizeBytes - blockBytes }).read(Buffer.alloc(1), 0)), 'ERR_PEER_LIED');
  t.equal(await codeOf(at({ uuid: uuid.replace('0b', '0c') }).read(Buffer.alloc(1), 0)), 'ERR_PEER_REFUSED');
  await grown.close();
  await holds(() => opened.length === 0);
  t.equal(await codeOf(grown.read(Buffer.alloc(1), 0)), 'ERR_CLOSED');
});

t.test('given up, dropped, destroyed', async (t) => {
  const { blocks, subject } = await stand(t);
  const answers: ((there: boolean) => void)[] = [];
  subject.read = () => new Promise((resolve) => answers.push(resolve));
  const controller = new AbortController();
  const givenUp = codeOf(blocks.read(Buffer.alloc(blockBytes), 0, { signal: controller.signal }));
  await holds(() => answers.length === 1);
  controller.abort();
  t.equal(await givenUp, 'ERR_ABORTED');
  const demand = codeOf(blocks.read(Buffer.alloc(blockBytes), 0));
  const background = codeOf(blocks.read(Buffer.alloc(blockBytes), 0, { background: true }));
  await holds(() => answers.length === 3);
  blocks.drop('its pings fail');
  t.equal(await background, 'ERR_PEER_GONE');
  await holds(() => answers.length === 4);
  blocks.destroy('enough');
  t.equal(await demand, 'ERR_PEER_GONE');
  for (const answer of answers) answer(true);
});
