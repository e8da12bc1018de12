/** The neighbourhood over scripted pings: who is handed out, what is told, and when. */

import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { LivePeer } from '../../src/cluster/health/member-table.js';
import { LiveCluster } from '../../src/cluster/live-cluster.js';
import type { NodeStatement } from '../../src/cluster/node.js';
import { ManualClock } from '../cache/manual-clock.js';
import { turns } from '../cache/subject.js';
import { contentIdOf, sharedContent, statementOf } from '../peer/node-statement.js';
import { ScriptedNetwork } from './health/scripted-probe.js';
import { openNbd } from './open-nbd.js';
import { StillMembership } from './still-membership.js';

const content = contentIdOf(1);
const contents = [sharedContent(1)];

interface TestPeer extends LivePeer {
  address: string;
  /** Why it was destroyed. */
  reason: string | undefined;
}

function stand(t: Test, ...seeds: string[]) {
  const membership = new StillMembership(...seeds);
  const network = new ScriptedNetwork();
  const clock = new ManualClock();
  const own = { statement: statementOf('a', { contents }) };
  const peers: TestPeer[] = [];
  const lines: { level: number; reason?: string }[] = [];
  const make = (): LiveCluster =>
    new LiveCluster({
      membership,
      self: () => own.statement,
      openProbe: network.open,
      openPeer: (id, address) => {
        const fail = () => Promise.reject(new Error('not asked here'));
        const peer: TestPeer = {
          id,
          address,
          reason: undefined,
          readHome: fail,
          readHeld: fail,
          cacheHome: fail,
          cachedRuns: fail,
          destroy: (reason) => {
            peer.reason = reason;
          },
        };
        peers.push(peer);
        return peer;
      },
      clock,
      random: () => 0.5,
      log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    });
  const pass = async (durationMs: number): Promise<void> => {
    clock.advance(durationMs);
    await turns();
  };
  const serve = (id: string, overrides: Partial<NodeStatement> = {}): void =>
    network.at(`${id}:1`).up(statementOf(id, { contents, ...overrides }));
  const start = async (): Promise<LiveCluster> => {
    const liveCluster = make();
    t.after(() => liveCluster.close());
    await turns();
    return liveCluster;
  };
  return { membership, network, clock, own, peers, lines, pass, serve, start };
}

const idsOf = (nodes: readonly { id: string }[]): string => nodes.map(({ id }) => id).join('');
const states = (liveCluster: LiveCluster): string[] => liveCluster.members().map(({ id, state }) => `${id} ${state}`);

t.test('alone: this node is the home of what it serves, and not cut off', async (t) => {
  const { start, own } = stand(t);
  const liveCluster = await start();
  await liveCluster.ready();
  t.equal(liveCluster.selfId, 'a');
  t.equal(liveCluster.isCutOff, false);
  t.equal(idsOf(liveCluster.homesOf(content)), 'a');
  t.same(states(liveCluster), ['a self']);
  const { revision } = liveCluster;
  own.statement = { ...own.statement, draining: true };
  liveCluster.selfChanged();
  t.ok(liveCluster.revision > revision);
  t.same(liveCluster.homesOf(content), []);
  liveCluster.selfChanged();
  t.equal(liveCluster.revision, revision + 1, 'no change, no revision');
});

t.test('peers that answer are handed out, those that do not are not', async (t) => {
  const { start, serve, peers } = stand(t, 'c:1', 'b:1', 'd=dead:1');
  serve('b', { usedBytes: 5 });
  serve('c');
  const liveCluster = await start();
  t.equal(idsOf(liveCluster.homesOf(content)), 'abc');
  t.equal(idsOf(liveCluster.holdersOf(content)), 'bc');
  t.equal(
    liveCluster.peer('b'),
    peers.find(({ id }) => id === 'b'),
  );
  t.equal(liveCluster.peer('d'), undefined);
  t.equal(liveCluster.peer('a'), undefined, 'this node is not its own peer');
  t.match(liveCluster.members(), [
    { id: 'a', state: 'self', address: 'a:1' },
    { id: 'b', state: 'up', address: 'b:1', usedBytes: 5, donatedBytes: 2 ** 30, rttUs: 100, version: '1.2.3' },
    { id: 'c', state: 'up' },
    { id: 'd', state: 'down', address: 'dead:1', message: 'nobody listens' },
  ]);
});

t.test('ready waits for the first answer or failure of each', async (t) => {
  const { start, network, serve } = stand(t, 'b:1', 'c:1', 'd:1');
  serve('b');
  network.at('c:1').mute();
  const liveCluster = await start();
  let ready = false;
  const waiting = liveCluster.ready().then(() => {
    ready = true;
  });
  await turns();
  t.notOk(ready);
  t.equal(liveCluster.isCutOff, false);
  network.at('c:1').waiting[0]?.answer(statementOf('c'));
  await waiting;
});

t.test('a peer that goes down: all that waits for it ends, its views become former ones, and it comes back anew', async (t) => {
  const { start, serve, network, peers, pass } = stand(t, 'b:1', 'c:1');
  serve('b');
  serve('c');
  const liveCluster = await start();
  let changes = 0;
  const end = liveCluster.onChange(() => {
    changes += 1;
  });
  const { revision } = liveCluster;
  network.at('b:1').down();
  network.at('b:1').probe?.onLost();
  await turns();
  t.equal(peers.find(({ id }) => id === 'b')?.reason, 'nobody listens');
  t.equal(idsOf(liveCluster.homesOf(content)), 'ac');
  t.equal(idsOf(liveCluster.formerHomesOf(content)[0] ?? []), 'abc');
  t.equal(changes, 1);
  t.equal(liveCluster.revision, revision + 1);
  t.match(liveCluster.members()[1], { id: 'b', state: 'down', version: '1.2.3' }, 'it is known by name');
  serve('b');
  await pass(250);
  t.equal(idsOf(liveCluster.homesOf(content)), 'abc');
  t.equal(peers.length, 3);
  t.equal(liveCluster.peer('b'), peers[2]);
  t.equal(peers[2]?.reason, undefined);
  t.equal(changes, 2);
  end();
  network.at('b:1').down();
  network.at('b:1').probe?.onLost();
  await turns();
  t.equal(changes, 2);
});

t.test('a process that was started anew is another peer: what waits for the old one would wait for ever', async (t) => {
  const { start, serve, peers, pass } = stand(t, 'b:1');
  serve('b');
  const liveCluster = await start();
  serve('b', { startedAt: '2026-11-22T11:00:00.000Z' });
  await pass(1000);
  t.match(peers[0]?.reason, /anew/);
  t.equal(liveCluster.peer('b'), peers[1]);
});

t.test('a statement that changes changes the answers', async (t) => {
  const { start, serve, pass, peers } = stand(t, 'b:1', 'c:1');
  serve('b');
  serve('c');
  const liveCluster = await start();
  serve('b', { contents: [sharedContent(1, { originReachable: false })] });
  await pass(1000);
  t.equal(idsOf(liveCluster.homesOf(content)), 'ac');
  t.equal(idsOf(liveCluster.holdersOf(content)), 'bc');
  serve('b', { draining: true });
  await pass(1000);
  t.same(states(liveCluster), ['a self', 'b draining', 'c up']);
  t.equal(idsOf(liveCluster.homesOf(content)), 'ac');
  serve('b', { contents: [sharedContent(1), sharedContent(2)] });
  await pass(1000);
  t.equal(idsOf(liveCluster.homesOf(contentIdOf(2))), 'b');
  t.equal(peers.length, 2, 'the same peers all the while');
});

t.test('nothing is told where nothing changed', async (t) => {
  const { start, serve, pass } = stand(t, 'b:1', 'dead:1');
  serve('b');
  const liveCluster = await start();
  const { revision } = liveCluster;
  for (let count = 0; count < 10; count += 1) {
    serve('b', { usedBytes: count });
    await pass(1000);
  }
  t.equal(liveCluster.revision, revision);
  t.equal(liveCluster.members()[1]?.usedBytes, 9);
});

t.test('cut off: others should be there, and none answers', async (t) => {
  const { start, serve, network, membership } = stand(t, 'b:1', 'c:1');
  serve('b');
  serve('c');
  const liveCluster = await start();
  t.equal(liveCluster.isCutOff, false);
  for (const address of ['b:1', 'c:1']) {
    network.at(address).down();
    network.at(address).probe?.onLost();
    await turns();
  }
  t.equal(liveCluster.isCutOff, true);
  const { revision } = liveCluster;
  membership.name();
  t.equal(liveCluster.isCutOff, false, 'nobody should be there any more');
  t.equal(liveCluster.revision, revision + 1);
});

t.test('a suspicion is a ping', async (t) => {
  const { start, serve, network, pass } = stand(t, 'b:1');
  serve('b');
  const liveCluster = await start();
  network.at('b:1').mute();
  liveCluster.suspect('b');
  liveCluster.suspect('nobody');
  liveCluster.suspect('a');
  t.equal(network.at('b:1').pingCount, 2);
  await pass(1000);
  t.equal(liveCluster.peer('b'), undefined);
});

t.test('membership names others: they are asked; whom it names no longer stays while it is well', async (t) => {
  const { start, serve, network, membership, peers } = stand(t, 'b:1', 'dead:1');
  serve('b');
  serve('c');
  const liveCluster = await start();
  membership.name('c:1');
  await turns();
  t.same(states(liveCluster), ['a self', 'b up', 'c up']);
  t.ok(network.at('dead:1').probe?.closed);
  network.at('b:1').down();
  network.at('b:1').probe?.onLost();
  await turns();
  t.same(states(liveCluster), ['a self', 'c up']);
  t.ok(network.at('b:1').probe?.closed);
  t.ok(peers.find(({ id }) => id === 'b')?.reason);
  serve('b');
  membership.name('c:1', 'b:1');
  await turns();
  t.same(states(liveCluster), ['a self', 'b up', 'c up']);
});

t.test('who says that it is in another cluster is not used, and goes with its name', async (t) => {
  const { start, serve, pass, membership } = stand(t, 'b:1');
  serve('b');
  const liveCluster = await start();
  serve('b', { cluster: 'other' });
  await pass(1000);
  t.equal(liveCluster.peer('b'), undefined);
  t.match(liveCluster.members()[1], { id: 'b', state: 'incompatible', message: /cluster "other"/ });
  t.equal(liveCluster.isCutOff, false);
  membership.name();
  t.same(states(liveCluster), ['a self']);
});

t.test('two with one id: the later one is not used, which is said once', async (t) => {
  const { start, serve, network, lines, pass } = stand(t, 'b:1', 'z:1');
  serve('b');
  const liveCluster = await start();
  network.at('z:1').up(statementOf('b', { token: 'other', address: 'z:1', contents }));
  await pass(1000);
  t.equal(idsOf(liveCluster.holdersOf(content)), 'b');
  t.match(
    liveCluster.members().filter(({ id }) => id === 'b'),
    [{ state: 'up' }, { state: 'conflict', address: 'z:1', message: /--node/ }],
  );
  for (let count = 0; count < 5; count += 1) await pass(1000);
  t.equal(lines.filter(({ level, reason }) => level === 40 && reason?.includes('--node')).length, 1);
});

t.test('this node among its peers is passed over', async (t) => {
  const { start, network, own } = stand(t, 'localhost:1');
  network.at('localhost:1').up(own.statement);
  const liveCluster = await start();
  t.same(states(liveCluster), ['a self']);
  t.equal(idsOf(liveCluster.homesOf(content)), 'a');
  t.equal(liveCluster.isCutOff, false);
});

t.test('an address that is none is told as any other that leads nowhere', async (t) => {
  const membership = new StillMembership('no address');
  const liveCluster = new LiveCluster({ membership, self: () => statementOf('a'), clock: new ManualClock(), ...openNbd });
  t.after(() => liveCluster.close());
  await liveCluster.ready();
  t.match(liveCluster.members()[1], { address: 'no address', state: 'incompatible', message: /HOST:PORT/ });
});

t.test('closed: nothing is left behind', async (t) => {
  const { start, serve, network, peers, clock, membership } = stand(t, 'b:1', 'c:1');
  serve('b');
  network.at('c:1').mute();
  const liveCluster = await start();
  liveCluster.close();
  await liveCluster.ready();
  await turns();
  t.equal(clock.timerCount, 0);
  t.equal(membership.listenerCount, 0);
  t.ok(network.at('b:1').probe?.closed);
  t.ok(network.at('c:1').probe?.closed);
  t.ok(peers[0]?.reason);
});

t.test('hundreds of contents and of peers', async (t) => {
  const ids = Array.from({ length: 100 }, (_, index) => `n${String(index).padStart(3, '0')}`);
  const { start, serve } = stand(t, ...ids.map((id) => `${id}:1`));
  const many = Array.from({ length: 300 }, (_, index) => sharedContent(index));
  for (const id of ids) serve(id, { contents: many });
  const liveCluster = await start();
  await liveCluster.ready();
  t.equal(liveCluster.homesOf(contentIdOf(299)).length, 100);
  t.equal(liveCluster.homesOf(content).length, 101);
  t.ok(liveCluster.formerHomesOf(content).length <= 4);
});
