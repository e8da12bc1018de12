/** The neighbourhood over real sockets: peers that change, stop, die and come back. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { LiveCluster, type LiveClusterOptions } from '../../src/cluster/live-cluster.js';
import { NbdProbe } from '../../src/peer/client/probe.js';
import { contentIdOf, sharedContent, statementOf } from '../peer/node-statement.js';
import { startPeer } from '../peer/peer-process.js';
import { servePeers, TestContents } from '../peer/peer-server.js';
import { holds, untilChange } from '../support/wait.js';
import { openNbd } from './open-nbd.js';
import { StillMembership } from './still-membership.js';

const content = { id: contentIdOf(1), sizeBytes: 2 ** 20, chunkBytes: 2 ** 16 };
const nowhere = { data: () => {}, zeroes: () => {} };

/** Pings often, and waits long for each answer: what is waited for is an answer or its absence, never a time. */
function probing(t: Test, membership: StillMembership, times: Partial<LiveClusterOptions> = {}): LiveCluster {
  const self = statementOf('a', { contents: [sharedContent(1)] });
  const liveCluster = new LiveCluster({
    membership,
    self: () => self,
    ...openNbd,
    pingIntervalMs: 20,
    pingTimeoutMs: 60_000,
    suspectTimeoutMs: 60_000,
    backoffMinMs: 10,
    backoffMaxMs: 50,
    ...times,
  });
  const keepAlive = setInterval(() => {}, 1000);
  t.after(() => {
    liveCluster.close();
    clearInterval(keepAlive);
  });
  return liveCluster;
}

t.test('two nodes in this process: the statement is read, followed, and hundreds of contents in it', async (t) => {
  const contents = new TestContents('b', { contents: Array.from({ length: 700 }, (_, index) => sharedContent(index)) });
  const { address, directory } = await servePeers(t, contents);
  const liveCluster = probing(t, new StillMembership(address));
  await liveCluster.ready();
  t.equal(liveCluster.holdersOf(contentIdOf(699)).length, 1);
  t.match(liveCluster.members()[1], { id: 'b', state: 'up', address, version: '1.2.3' });
  t.ok((liveCluster.members()[1]?.rttUs ?? 0) > 0);
  contents.current = { ...contents.current, draining: true, contents: [sharedContent(1)] };
  await untilChange('the change is seen', liveCluster, () => liveCluster.members()[1]?.state === 'draining');
  t.equal(liveCluster.holdersOf(contentIdOf(699)).length, 0);
  t.equal(directory.metrics.node.connections, 1, 'over one connection all the while');
});

t.test('a peer that is killed: what waits for it ends at once; one that is back is used again', async (t) => {
  const statement = statementOf('b', { contents: [sharedContent(1)] });
  const first = await startPeer(t, statement);
  const liveCluster = probing(t, new StillMembership(first.address));
  await liveCluster.ready();
  const peer = liveCluster.peer('b');
  if (peer === undefined) return t.fail('not up');
  const waiting = t.rejects(peer.readHome(content, 0, 4096, nowhere), { code: 'ERR_PEER_GONE' });
  first.kill('SIGKILL');
  await waiting;
  await untilChange('it is down', liveCluster, () => liveCluster.peer('b') === undefined);
  t.equal(liveCluster.isCutOff, true);
  await startPeer(t, { ...statement, startedAt: '2026-11-22T12:00:00.000Z' }, Number(first.address.split(':')[1]));
  await untilChange('it is back', liveCluster, () => liveCluster.peer('b') !== undefined);
  t.not(liveCluster.peer('b'), peer);
  return t.equal(liveCluster.isCutOff, false);
});

t.test('a peer that is stopped is down, and all that waits for it ends', async (t) => {
  const child = await startPeer(t, statementOf('b', { contents: [sharedContent(1)] }));
  const liveCluster = probing(t, new StillMembership(child.address), { pingTimeoutMs: 300 });
  await untilChange('it is up', liveCluster, () => liveCluster.peer('b') !== undefined);
  const peer = liveCluster.peer('b');
  if (peer === undefined) return t.fail('not up');
  const waiting = t.rejects(peer.readHome(content, 0, 4096, nowhere), { code: 'ERR_PEER_GONE', message: /no answer/ });
  child.kill('SIGSTOP');
  await waiting;
  // A ping may have been missed, and the next one answered, before it was stopped.
  await untilChange('it is down', liveCluster, () => liveCluster.peer('b') === undefined);
  child.kill('SIGCONT');
  await untilChange('it is up again', liveCluster, () => liveCluster.peer('b') !== undefined);
  return t.not(liveCluster.peer('b'), peer);
});

t.test('a home that waits for its origin is not slow, as long as it answers pings', async (t) => {
  const { address } = await startPeer(t, statementOf('b', { contents: [sharedContent(1)] }));
  const liveCluster = probing(t, new StillMembership(address));
  await liveCluster.ready();
  let settled = false;
  const controller = new AbortController();
  const waiting = liveCluster
    .peer('b')
    ?.readHome(content, 0, 4096, nowhere, { signal: controller.signal })
    .finally(() => {
      settled = true;
    });
  const probe = new NbdProbe(address);
  const { signal } = new AbortController();
  for (let count = 0; count < 20; count += 1) await probe.ping({ signal });
  probe.close();
  t.notOk(settled);
  t.ok(liveCluster.peer('b'));
  controller.abort();
  await t.rejects(waiting ?? Promise.resolve(), { code: 'ERR_ABORTED' });
});

t.test('two nodes with one id', async (t) => {
  const first = await servePeers(t, new TestContents('b', { contents: [sharedContent(1)] }));
  const second = await servePeers(t, new TestContents('b', { token: 'other', address: 'elsewhere:1', contents: [sharedContent(1)] }));
  const membership = new StillMembership(first.address);
  const liveCluster = probing(t, membership);
  await liveCluster.ready();
  const peer = liveCluster.peer('b');
  membership.name(first.address, second.address);
  // That changes no answer to a decision, so nobody is told.
  await holds(() => !liveCluster.members().every(({ state }) => state !== 'conflict'));
  t.equal(liveCluster.peer('b'), peer);
  t.equal(liveCluster.holdersOf(content.id).length, 1);
  await first.server.stop(0);
  await untilChange('the second takes its place', liveCluster, () => {
    const now = liveCluster.peer('b');
    return now !== undefined && now !== peer;
  });
});

t.test('a node of another protocol, an NBD server that is no peer, and what is no NBD server', async (t) => {
  const newer = await servePeers(t, new TestContents('newer', { protocol: { least: 2, greatest: 3 }, version: '9.0.0' }));
  const other = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('220 mail.example.org ESMTP\r\n');
  });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const address = other.address();
  const mail = `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  const liveCluster = probing(t, new StillMembership(newer.address, mail));
  await liveCluster.ready();
  const shown = new Map(liveCluster.members().map((member) => [member.address, member]));
  t.match(shown.get(newer.address), { id: 'newer', state: 'incompatible', version: '9.0.0', message: /upgrade/ });
  t.equal(shown.get(mail)?.state, 'down');
  t.equal(liveCluster.peer('newer'), undefined);
});

t.test('a statement that did not change is not read again', async (t) => {
  const contents = new TestContents('b', { contents: [sharedContent(1)] });
  const { address } = await servePeers(t, contents);
  const probe = new NbdProbe(address);
  t.after(() => probe.close());
  const { signal } = new AbortController();
  const { statement } = await probe.ping({ signal });
  t.equal((await probe.ping({ signal })).statement, statement, 'the same object while nothing changes');
  contents.current = { ...contents.current, usedBytes: 7 };
  const used = (await probe.ping({ signal })).statement;
  t.equal(used.usedBytes, 7);
  t.equal(used.contents, statement.contents);
  contents.current = { ...contents.current, donatedBytes: 1 };
  t.equal((await probe.ping({ signal })).statement.donatedBytes, 1);
});

t.test('a connection that ends is told, once', async (t) => {
  const lost: string[] = [];
  const { address, server } = await servePeers(t, new TestContents('b'));
  const probe = new NbdProbe(address, () => lost.push('lost'));
  t.after(() => probe.close());
  const { signal } = new AbortController();
  await probe.ping({ signal });
  await server.stop(0);
  await holds(() => lost.length !== 0);
  await t.rejects(probe.ping({ signal }), { code: 'ERR_NBD_DISCONNECTED' });
  t.same(lost, ['lost'], 'once');
});
