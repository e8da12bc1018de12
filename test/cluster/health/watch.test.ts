import t from 'tap';
import { Watch } from '../../../src/cluster/health/watch.js';
import { defaultTimes } from '../../../src/cluster/health/watch-set.js';
import { IncompatibleError } from '../../../src/cluster/incompatible-error.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { turns } from '../../cache/subject.js';
import { statementOf } from '../../peer/node-statement.js';
import { type ScriptedAddress, ScriptedNetwork } from './scripted-probe.js';

/** Pings every 1000 ms, which is down after 2000, or 1000 when in doubt; tries again after 250, 500, 1000, 2000. */
function stand(prepare: (peer: ScriptedAddress) => void) {
  const network = new ScriptedNetwork();
  const peer = network.at('b:1');
  prepare(peer);
  const clock = new ManualClock();
  const states: string[] = [];
  const watch: Watch = new Watch({
    ...defaultTimes,
    address: 'b:1',
    openProbe: network.open,
    clock,
    random: () => 0.5,
    onChange: () => void states.push(watch.state.kind),
  });
  const pass = async (durationMs: number): Promise<void> => {
    clock.advance(durationMs);
    await turns();
  };
  return { peer, clock, watch, states, pass };
}

t.test('pings at once, then at intervals, and tells only what is new', async (t) => {
  const { peer, clock, watch, states, pass } = stand((script) => script.up(statementOf('b')));
  t.equal(watch.state.kind, 'new');
  t.equal(peer.pingCount, 1);
  await turns();
  t.same(states, ['up']);
  await pass(999);
  t.equal(peer.pingCount, 1);
  await pass(1);
  t.equal(peer.pingCount, 2);
  peer.up({ ...statementOf('b'), usedBytes: 5, protocol: statementOf('b').protocol });
  await pass(1000);
  const { state } = watch;
  t.equal(state.kind === 'up' && state.statement.usedBytes, 5);
  watch.close();
  t.equal(clock.timerCount, 0);
  t.ok(peer.probe?.closed);
});

t.test('what is used of the cache alone is no change, anything else is', async (t) => {
  const first = statementOf('b');
  const { peer, watch, states, pass } = stand((script) => script.up(first));
  await turns();
  peer.up({ ...first, usedBytes: 99 });
  await pass(1000);
  t.same(states, ['up']);
  t.equal(watch.lastStatement?.usedBytes, 99);
  peer.up({ ...first, draining: true });
  await pass(1000);
  t.same(states, ['up', 'up']);
  watch.close();
});

t.test('no answer in time is down, and one that returns is found', async (t) => {
  const { peer, watch, states, pass } = stand((script) => script.up(statementOf('b')));
  await turns();
  peer.mute();
  await pass(1000);
  await pass(1999);
  t.same(states, ['up']);
  await pass(1);
  t.same(states, ['up', 'down']);
  t.ok(peer.waiting[0]?.signal.aborted);
  t.equal(watch.rttUs, undefined);
  t.equal(watch.lastStatement?.id, 'b');
  peer.up(statementOf('b'));
  await pass(250);
  t.same(states, ['up', 'down', 'up']);
  watch.close();
});

t.test('attempts at the dead keep a distance that grows to two seconds', async (t) => {
  const { peer, clock, watch, states, pass } = stand(() => {});
  await turns();
  t.same(states, ['down']);
  const distances: number[] = [];
  for (let last = clock.nowMs(); distances.length < 8; ) {
    const { pingCount } = peer;
    while (peer.pingCount === pingCount) await pass(12.5);
    distances.push(clock.nowMs() - last);
    last = clock.nowMs();
  }
  t.same(distances, [187.5, 375, 750, 1500, 1500, 1500, 1500, 1500], 'with three quarters of each, as chance has it here');
  t.same(states, ['down'], 'it is told once');
  watch.close();
});

t.test('a connection that breaks is pinged at once, and down only when that fails', async (t) => {
  const { peer, watch, states, pass } = stand((script) => script.up(statementOf('b')));
  await turns();
  peer.probe?.onLost();
  await turns();
  t.equal(peer.pingCount, 2);
  t.same(states, ['up'], 'it was only the connection');
  peer.mute();
  await pass(1000);
  peer.waiting[0]?.fail(new Error('connection reset'));
  await turns();
  t.equal(peer.waiting.length, 2, 'asked again in the same breath');
  peer.waiting[1]?.answer(statementOf('b'));
  await turns();
  t.equal(watch.state.kind, 'up');
  peer.down();
  peer.probe?.onLost();
  await turns();
  t.equal(watch.state.kind, 'down');
  watch.close();
});

t.test('a suspicion pings at once, with less patience, however many have it', async (t) => {
  const { peer, watch, states, pass } = stand((script) => script.up(statementOf('b')));
  await turns();
  peer.mute();
  watch.suspect();
  watch.suspect();
  t.equal(peer.pingCount, 2);
  await pass(999);
  watch.suspect();
  t.same(states, ['up']);
  await pass(1);
  t.same(states, ['up', 'down'], 'the last suspicion did not put it off');
  watch.suspect();
  t.equal(peer.pingCount, 2, 'what is down is not suspected');
  watch.close();
});

t.test('a suspicion shortens a ping that is under way', async (t) => {
  const { peer, watch, pass } = stand((script) => script.up(statementOf('b')));
  await turns();
  peer.mute();
  await pass(1000);
  await pass(500);
  watch.suspect();
  await pass(999);
  t.equal(watch.state.kind, 'up');
  await pass(1);
  t.equal(watch.state.kind, 'down');
  t.equal(peer.pingCount, 2);
  watch.close();
});

t.test('a delay of this process is not held against the peer', async (t) => {
  const timers: { callback: () => void }[] = [];
  let nowMs = 0;
  const network = new ScriptedNetwork();
  const peer = network.at('b:1');
  peer.mute();
  const watch: Watch = new Watch({
    ...defaultTimes,
    address: 'b:1',
    openProbe: network.open,
    clock: {
      nowMs: () => nowMs,
      after: (_delayMs, callback) => {
        const timer = { callback };
        timers.push(timer);
        return () => timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
      },
    },
    random: () => 0.5,
    onChange: () => {},
  });
  // Stopped for a minute: the timer fires before anything is read from the socket.
  nowMs = 60_000;
  timers.shift()?.callback();
  await turns();
  t.equal(watch.state.kind, 'new');
  t.notOk(peer.waiting[0]?.signal.aborted);
  nowMs = 62_000;
  timers.shift()?.callback();
  await turns();
  t.equal(watch.state.kind, 'down', 'it has that grace once');
  watch.close();
});

t.test('somebody else at the address is not down, but not used', async (t) => {
  const { peer, watch, states, pass } = stand((script) => {
    script.failure = new IncompatibleError('it speaks another language', { id: 'c', version: '9' });
  });
  await turns();
  t.same(states, ['incompatible']);
  t.match(watch.state, { id: 'c', version: '9', message: 'it speaks another language' });
  peer.up(statementOf('b'));
  await pass(2000);
  t.same(states, ['incompatible', 'up']);
  watch.close();
});

t.test('the round-trip time is the least of the last ten', async (t) => {
  const { peer, watch, pass } = stand((script) => script.up(statementOf('b')));
  await turns();
  for (const rttUs of [50, 90, 200, 300]) {
    peer.rttUs = rttUs;
    await pass(1000);
  }
  t.equal(watch.rttUs, 50);
  for (let count = 0; count < 8; count += 1) await pass(1000);
  t.equal(watch.rttUs, 200);
  watch.close();
});

t.test('an answer after the end changes nothing', async (t) => {
  const { peer, watch, states } = stand((script) => script.mute());
  watch.close();
  peer.waiting[0]?.answer(statementOf('b'));
  await turns();
  t.same(states, []);
});
