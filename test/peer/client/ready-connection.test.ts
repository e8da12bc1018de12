/** Connections that are made ahead: real servers, and a clock that the test moves. */
import t, { type Test } from 'tap';
import { callExport, callPeer } from '../../../src/peer/client/call.js';
import { mapExport, readPeerMap } from '../../../src/peer/client/map.js';
import { ReadyConnections } from '../../../src/peer/client/ready-connection.js';
import { callMethods } from '../../../src/peer/server/call-limiter.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { holds } from '../../support/wait.js';
import { codeOf, TestDisks, uuid } from '../disk-server.js';
import { servePeers } from '../peer-server.js';

const blockCount = 10_000;

async function stand(t: Test) {
  const contents = new TestDisks('a');
  const seen = { calls: 0, copies: 0, maps: 0 };
  contents.call = callMethods({
    count: async () => {
      seen.calls += 1;
      return seen.calls;
    },
    long: async () => 'x'.repeat(100_000),
  });
  const map = { fill: 1, failOnce: false };
  contents.map = async () => {
    seen.maps += 1;
    return {
      blockCount,
      copy(target) {
        seen.copies += 1;
        if (map.failOnce) {
          map.failOnce = false;
          throw new Error('not what it was');
        }
        target.fill(map.fill);
      },
      release: () => {},
    };
  };
  const served = await servePeers(t, contents);
  const peer = { id: 'a', address: served.address };
  const clock = new ManualClock();
  const ready = new ReadyConnections({ clock, connectTimeoutMs: 60_000 });
  t.teardown(() => ready.close());
  const connections = (count: number) => holds(() => served.server.connectionCount === count);
  const kept = (count: number, exportName = callExport()) => holds(() => ready.count(peer, exportName) === count);
  return { served, peer, clock, ready, seen, map, connections, kept };
}

t.test('calls use the connections that there are, each once, and others when there are none', async (t) => {
  const { peer, ready, seen, connections, kept, clock } = await stand(t);
  ready.keep(peer, callExport(), 2);
  await kept(2);
  const first = ready.take(peer, callExport());
  t.ok(first, 'one is ready');
  t.equal(first?.failure, undefined);
  first?.destroy();
  await connections(1);
  t.equal(await callPeer(peer, 'count', {}, { ready, connectTimeoutMs: 60_000 }), 1);
  await connections(0);
  t.equal(ready.take(peer, callExport()), undefined, 'none is left');
  t.equal(await callPeer(peer, 'count', {}, { ready, connectTimeoutMs: 60_000 }), 2);
  t.equal(await callPeer(peer, 'long', {}, { ready, connectTimeoutMs: 60_000 }).then((answer) => String(answer).length), 100_000);
  t.equal(seen.calls, 2);
  await connections(0);
  clock.advance(1000);
  await kept(2);
  t.equal(await callPeer(peer, 'count', {}, { ready, connectTimeoutMs: 60_000 }), 3);
});

t.test('a connection that has died since is not the answer', async (t) => {
  const { served, peer, ready, kept } = await stand(t);
  ready.keep(peer, callExport(), 1);
  await kept(1);
  const taken = ready.take(peer, callExport());
  // As if it had died, and nobody had noticed.
  ready.take = () => taken;
  taken?.destroy();
  t.equal(await callPeer(peer, 'count', {}, { ready, connectTimeoutMs: 60_000 }), 1);
  await served.server.stop(0);
  t.equal(await codeOf(callPeer(peer, 'count', {}, { ready, connectTimeoutMs: 60_000 })), 'ERR_PEER_GONE', 'nor is a node that is gone');
});

t.test('a map over such a connection is as of when it is read; where it is refused, another is asked for', async (t) => {
  const { peer, ready, seen, map, kept } = await stand(t);
  const exportName = mapExport(uuid, 'b');
  const read = () => readPeerMap(peer, uuid, blockCount, { selfId: 'b', ready });
  ready.keep(peer, exportName, 1);
  await kept(1, exportName);
  map.fill = 2;
  const opened = seen.maps;
  t.same(new Set(await read()), new Set([2]));
  t.equal(seen.maps, opened, 'none was opened for it');

  const again = ready.keep(peer, exportName, 1);
  await kept(2, exportName);
  map.failOnce = true;
  const copies = seen.copies;
  t.same(new Set(await read()), new Set([2]));
  t.equal(seen.copies, copies + 2);
  again();

  t.same(new Set(await readPeerMap(peer, uuid, blockCount, { selfId: 'b', ready, takeChanges: true })), new Set([2]));
});

t.test('they are kept for a while after the last who wanted them, and not beyond', async (t) => {
  const { peer, clock, ready, kept } = await stand(t);
  const releases = [ready.keep(peer, callExport(), 2), ready.keep(peer, callExport(), 1), ready.keep(peer, callExport(), 20)];
  await kept(8);
  for (const release of [...releases, ...releases]) release();
  clock.advance(4000);
  const release = ready.keep(peer, callExport(), 1);
  clock.advance(4000);
  t.ok(ready.take(peer, callExport()), 'somebody wants them again');
  release();
  clock.advance(5000);
  t.equal(ready.count(peer, callExport()), 0);
  t.equal(ready.take(peer, callExport()), undefined);
});

t.test('a node that does not answer is tried again; after the end nobody is', async (t) => {
  const { served, peer, clock, ready, kept } = await stand(t);
  ready.keep(peer, callExport(), 1);
  await kept(1);
  await served.server.stop(0);
  await kept(0);
  clock.advance(1000);
  await ready.close();
  t.equal(ready.take(peer, callExport()), undefined);
  ready.keep(peer, callExport(), 1)();
  clock.advance(10_000);
  t.equal(ready.take(peer, callExport()), undefined);
  t.throws(() => new ReadyConnections().keep({ id: 'x', address: 'nowhere' }, callExport(), 1), { code: 'ERR_URL' });
});
