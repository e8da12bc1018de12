/**
 * One silent connection between two healthy nodes failed reads for as long as it lasted. A firewall that forgets a flow passes
 * nothing of it on and tells nobody, while pings and new connections pass. Each read of that home's chunks waited for its
 * whole deadline and got EIO; the breaker heard nothing, no new connection was made, and the origin was not asked. So did
 * reads of a peer that takes requests and never answers, of a disk at another node, and of the blocks that it left there.
 */
import t, { type Test } from 'tap';
import { homesOf } from '../cluster/fault/homes.js';
import { sumOf } from '../cluster/fault/metric.js';
import { ClusterNode, imageName, loopbackAddress, whole } from '../cluster/fault/node.js';
import { pattern } from '../conformance/content.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { ForgetfulRelay } from './forgetful-relay.js';

const chunkBytes = 64 * 1024;
/** Chunks from one multiple of this to the next have one home. */
const extentBytes = 4 * 2 ** 20;
const bytes = pattern(16 * extentBytes, 77);
/** What a guest may wait for a silent connection. */
const silentWaitMs = 5000;

interface Pair {
  /** Reaches `far` through the relay alone. */
  near: ClusterNode;
  far: ClusterNode;
  relay: ForgetfulRelay;
  origin: ScriptedOrigin;
  /** Offsets of extents whose home is `far`. */
  offsets: number[];
}

async function pair(t: Test): Promise<Pair> {
  const origin = await ScriptedOrigin.start(t, bytes);
  const [nearAddress, farAddress] = [loopbackAddress(), loopbackAddress()];
  const relay = await ForgetfulRelay.start(t, farAddress);
  const shared = { images: { [imageName]: origin.url }, imageLines: { [imageName]: ['format = "raw"'] }, deadline: '30s' };
  const near = await ClusterNode.prepare(t, { ...shared, id: 'near', address: nearAddress, peers: [relay.address] });
  const far = await ClusterNode.prepare(t, { ...shared, id: 'far', address: farAddress, peers: [nearAddress] });
  await Promise.all([near.start(), far.start()]);
  await whole([near, far]);
  const offsets: number[] = [];
  for (let offset = 0; offset < bytes.length; offset += extentBytes) {
    const [home] = await homesOf(offset / extentBytes, [near, far]);
    if (home === far) offsets.push(offset);
  }
  if (offsets.length < 3) throw new Error('too few extents have that home');
  return { near, far, relay, origin, offsets };
}

async function silentCount(node: ClusterNode): Promise<number> {
  return sumOf(await node.metrics(), 'copse_peer_silent_connections_total');
}

t.test('two healthy nodes', async (t) => {
  const { near, far, relay, origin, offsets } = await pair(t);
  const [first = 0, second = 0, third = 0] = offsets;
  const guest = await near.attach(imageName);
  t.equal((await guest.read(first, chunkBytes)).error, 0);

  await t.test('reads go on when the connection to the home goes silent, and the origin is asked once', async (t) => {
    t.ok(relay.forget('home/', 'held/') > 0);
    const startMs = performance.now();
    const wanted = Array.from({ length: 16 }, (_, index) => second + index * chunkBytes);
    const cookies = wanted.map((offset) => ({ offset, cookie: guest.send({ type: 0, offset, lengthBytes: chunkBytes }) }));
    for (const { offset, cookie } of cookies) {
      const { error, data } = await guest.answer(cookie);
      t.equal(error, 0);
      t.ok(data.equals(bytes.subarray(offset, offset + chunkBytes)));
    }
    t.ok(performance.now() - startMs < silentWaitMs, `${performance.now() - startMs} ms`);
    for (const offset of wanted) t.equal(origin.requestCount(offset, chunkBytes), 1);
    t.equal(await silentCount(near), 1, 'one connection is one failure');
    t.ok(relay.count('home/') > 0, 'the home is asked on a new one');
    t.equal((await near.member('far'))?.state, 'up');
  });

  await t.test('a home that waits for an origin of 8 s is waited for, and the origin is not asked again', async (t) => {
    const connectionCount = relay.totalCount('home/');
    origin.always({ kind: 'delay', delayMs: 8000 });
    const { error, data } = await guest.read(third, chunkBytes);
    origin.always(undefined);
    t.equal(error, 0);
    t.ok(data.equals(bytes.subarray(third, third + chunkBytes)));
    t.equal(origin.requestCount(third, chunkBytes), 1);
    t.equal(relay.totalCount('home/'), connectionCount);
    t.equal(await silentCount(near), 1);
    t.equal(await silentCount(far), 0);
  });

  await t.test('a home that takes requests and never answers: the next source is asked', async (t) => {
    relay.mute.add('home/');
    const offset = third + chunkBytes;
    const startMs = performance.now();
    const { error, data } = await guest.read(offset, chunkBytes);
    t.equal(error, 0);
    t.ok(data.equals(bytes.subarray(offset, offset + chunkBytes)));
    t.ok(performance.now() - startMs < 2 * silentWaitMs, `two connections were silent: ${performance.now() - startMs} ms`);
    t.equal(await silentCount(near), 3);
  });
});
