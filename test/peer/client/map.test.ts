/** The map of another node's disk: two ends over real sockets. */
import t, { type Test } from 'tap';
import { BlockState } from '../../../src/base/native/overlay.js';
import { parsePeerAddress } from '../../../src/cluster/address.js';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import { ReplyFlag, ReplyType } from '../../../src/nbd/codec/constant.js';
import { emptyRequest, parseExtendedRequest } from '../../../src/nbd/codec/frame.js';
import { type PeerMapOptions, readPeerMap } from '../../../src/peer/client/map.js';
import { defaultPeerMemoryBytes } from '../../../src/peer/server/directory.js';
import { defaultPeerDiskMemoryBytes } from '../../../src/peer/server/disk-directory.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { missing, run } from '../../interop/serving.js';
import { listen } from '../../nbd/client/scripted-server.js';
import { u16, u32, u64 } from '../../nbd/server/raw-peer.js';
import { holds } from '../../support/wait.js';
import { codeOf, TestDisks, uuid } from '../disk-server.js';
import { servePeers } from '../peer-server.js';

const blockCount = 5 * 2 ** 20 + 7;

/** All states, marks and nodes, with long runs of base between. */
function statesOf(count: number): Buffer {
  const states = Buffer.alloc(count);
  for (let at = 0; at < count; at += 1) {
    if (Math.floor(at / 200_000) % 2 === 1) continue;
    const state = at % 4;
    states[at] = state | (at % 3 === 0 ? 4 : 0) | (state === BlockState.remote ? (1 + (at % 31)) << 3 : 0);
  }
  return states;
}

async function stand(t: Test, count = blockCount) {
  const states = statesOf(count);
  const contents = new TestDisks('a');
  const events: string[] = [];
  contents.map = async (wanted, { fromNodeId, takeChanges }) => {
    if (wanted !== uuid) return undefined;
    events.push(`open ${fromNodeId}`);
    return {
      blockCount: count,
      copy: (target) => {
        events.push(takeChanges ? 'take' : 'copy');
        states.copy(target);
        if (takeChanges) for (const [index, byte] of states.entries()) states[index] = byte & ~4;
      },
      release: () => void events.push('release'),
    };
  };
  const served = await servePeers(t, contents, {
    memoryBytes: { ...defaultPeerMemoryBytes, disks: { ...defaultPeerDiskMemoryBytes, map: 2 * blockCount } },
  });
  const peer = { id: 'a', address: served.address };
  const read = (options: Partial<PeerMapOptions> = {}) => readPeerMap(peer, uuid, count, { selfId: 'b', ...options });
  return { states, contents, events, served, peer, read };
}

t.test('a map arrives as it is', async (t) => {
  const { states, read, events } = await stand(t);
  t.ok(states.equals(await read()));
  await holds(() => events.length === 3);
  t.same(events, ['open b', 'copy', 'release']);
});

t.test('the smallest, and one without anything', async (t) => {
  const { states, read } = await stand(t, 1);
  t.ok(states.equals(await read()));
  const empty = await stand(t, 3_000_000);
  empty.states.fill(0);
  t.ok(Buffer.alloc(3_000_000).equals(await empty.read()));
});

t.test('changes are taken once, by who reads, not by who looks what there is', async (t) => {
  const { states, events, served, read } = await stand(t);
  const before = Buffer.from(states);
  const name = `map/${uuid};from=x;changes`;
  const looker = await NbdClient.connect(
    { address: parsePeerAddress(served.address), exportName: name },
    { contexts: ['base:allocation', 'x-copse:cached'] },
  );
  await looker.blockStatus(0, blockCount);
  looker.destroy();
  await holds(() => events.at(-1) === 'release');
  t.notOk(events.includes('take'));
  t.ok(before.equals(await read({ takeChanges: true })));
  t.equal(events.filter((event) => event === 'take').length, 1, 'in many reads, once');
  const after = await read({ takeChanges: true });
  t.ok(states.equals(after) && !after.some((byte) => (byte & 4) !== 0));
});

t.test('runs of base do not travel', async (t) => {
  const { states, served, peer } = await stand(t);
  states.fill(0);
  states[blockCount - 1] = 1;
  let dataBytes = 0;
  const client = await NbdClient.connect({ address: parsePeerAddress(peer.address), exportName: `map/${uuid};from=b` });
  await client.read(0, blockCount, {
    data: (piece) => {
      dataBytes += piece.length;
    },
    zeroes: () => {},
  });
  client.destroy();
  t.ok(dataBytes <= 65536, `${dataBytes} bytes of ${blockCount}`);
  await holds(() => served.server.connectionCount === 0);
});

t.test('another size is a lie, a disk that is not there a refusal', async (t) => {
  const { peer } = await stand(t);
  for (const count of [blockCount - 1, blockCount + 1]) {
    t.equal(await codeOf(readPeerMap(peer, uuid, count, { selfId: 'b' })), 'ERR_PEER_LIED');
  }
  t.equal(await codeOf(readPeerMap(peer, uuid.replace('0b', '0c'), 1, { selfId: 'b' })), 'ERR_PEER_REFUSED');
});

t.test('bytes that no map has are a lie', async (t) => {
  for (const byte of [BlockState.remote, BlockState.data | (1 << 3), 4 | (2 << 3), BlockState.zero | (31 << 3)]) {
    const { states, read } = await stand(t, 3_000_000);
    states[2_500_000] = byte;
    t.equal(await codeOf(read()), 'ERR_PEER_LIED', `${byte}`);
  }
});

t.test('an error of the copy is a refusal; copies are bounded, and given back', async (t) => {
  const { contents, peer, read, events } = await stand(t);
  const { map } = contents;
  contents.map = async () => ({
    blockCount,
    copy: () => Promise.reject(Object.assign(new Error('broken'), { code: 'EIO' })),
    release: () => {},
  });
  t.equal(await codeOf(read()), 'ERR_PEER_REFUSED');
  if (map !== undefined) contents.map = map;
  const held: NbdClient[] = [];
  const nowhere = { data: () => {}, zeroes: () => {} };
  for (let count = 0; count < 2; count += 1) {
    const client = await NbdClient.connect({ address: parsePeerAddress(peer.address), exportName: `map/${uuid};from=b` });
    await client.read(0, 1, nowhere);
    held.push(client);
  }
  t.equal(await codeOf(read()), 'ERR_PEER_REFUSED', 'no room for a third');
  held[0]?.destroy();
  await holds(() => events.filter((event) => event === 'release').length === 2);
  t.equal(await codeOf(read()), 'none');
  held[1]?.destroy();
});

t.test('a node that dies midway, that is silent, and a reader that gives up', async (t) => {
  const { contents, served, read } = await stand(t);
  const copying: (() => void)[] = [];
  contents.map = async () => ({
    blockCount,
    copy: () => new Promise((resolve) => copying.push(() => resolve())),
    release: () => {},
  });
  const controller = new AbortController();
  const givenUp = codeOf(read({ signal: controller.signal }));
  await holds(() => copying.length === 1);
  controller.abort();
  t.equal(await givenUp, 'ERR_ABORTED');
  copying[0]?.();
  const clock = new ManualClock();
  const silent = codeOf(read({ clock, timeoutMs: 60_000 }));
  await holds(() => copying.length === 2);
  clock.advance(60_000);
  t.equal(await silent, 'ERR_PEER_GONE');
  copying[1]?.();
  const dying = codeOf(read());
  await holds(() => copying.length === 3);
  const stopped = served.server.stop(0);
  t.equal(await dying, 'ERR_PEER_GONE');
  copying[2]?.();
  await stopped;
  t.equal(await codeOf(read()), 'ERR_PEER_GONE', 'nobody listens any more');
  t.equal(await codeOf(read({ signal: controller.signal })), 'ERR_ABORTED');
});

t.test('an answer that does not fit is a lie', async (t) => {
  const port = await listen(
    t,
    async (raw) => {
      const request = emptyRequest();
      if (!parseExtendedRequest(await raw.read(32), 0, request)) return;
      const body = Buffer.concat([u64(request.offset), Buffer.alloc(request.lengthBytes + 1, 1)]);
      const cookie = [u32(request.cookieHigh), u32(request.cookieLow)];
      raw.write(u32(0x6e8a278c), u16(ReplyFlag.DONE), u16(ReplyType.OFFSET_DATA), ...cookie, u64(request.offset), u64(body.length), body);
    },
    () => 4096,
  );
  const reading = readPeerMap({ id: 'liar', address: `127.0.0.1:${port}` }, uuid, 4096, { selfId: 'b' });
  t.equal(await codeOf(reading), 'ERR_PEER_LIED');
});

t.test('nbdcopy reads a map', { skip: await missing('nbdcopy', '--version') }, async (t) => {
  const { served, states, events } = await stand(t, 100_000);
  states.fill('A');
  const { stdout } = await run(t, 'nbdcopy', [`nbd://${served.address}/map/${uuid};from=nbdcopy`, '-']);
  t.ok(Buffer.from(stdout).equals(states));
  t.ok(events.includes('open nbdcopy'));
});
