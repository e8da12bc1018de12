/**
 * The last release and the present build in one cluster, which is upgraded node by node: each reads
 * from the other's cache, disks move both ways, and either may be restarted.
 */
import t, { type Test } from 'tap';
import { version } from '../../src/base/version.js';
import { callPeer } from '../../src/peer/client/call.js';
import { addressesOf } from '../daemon/clustered-node.js';
import { Daemon } from '../fault/daemon.js';
import { ScriptedOrigin } from '../fault/origin.js';
import { until } from '../support/wait.js';
import { change, command, digestOf } from './client.js';
import { diskStatus, hasWhole, memberOptions, seesAll } from './member.js';
import { lastRelease, type Release } from './release.js';

const ids = ['older', 'newer'];
const mib = 2 ** 20;

interface Pair {
  older: Daemon;
  newer: Daemon;
  addresses: string[];
  release: Release;
}

async function startPair(t: Test): Promise<Pair> {
  const release = await lastRelease();
  const addresses = await addressesOf(ids.length);
  const start = (index: number, main?: string): Promise<Daemon> => Daemon.start(t, memberOptions(ids, addresses, index, main));
  const [older, newer] = [await start(0, release.main), await start(1)];
  await seesBoth(older, newer);
  t.match(await command(older, '--version'), release.version);
  return { older, newer, addresses, release };
}

async function seesBoth(...daemons: Daemon[]): Promise<void> {
  for (const daemon of daemons) await seesAll(daemon, ids.length);
}

t.test('each reads from the cache of the other', { timeout: 600_000 }, async (t) => {
  const { older, newer } = await startPair(t);
  for (const [name, first, second] of [
    ['one', older, newer],
    ['two', newer, older],
  ] as const) {
    const origin = await ScriptedOrigin.start(t, Buffer.alloc(4 * mib, `image ${name} `));
    await command(first, 'image', 'add', name, origin.url);
    await command(first, 'image', 'warm', name);
    await command(second, 'image', 'add', name, origin.url);
    const sentBytes = origin.sentBytes;
    t.equal(await digestOf(second, name), await digestOf(first, name));
    t.equal(origin.sentBytes, sentBytes, 'the origin is asked for nothing more');
  }
});

t.test('disks move both ways, over restarts of each', { timeout: 600_000 }, async (t) => {
  const { older, newer } = await startPair(t);
  for (const [name, first] of [
    ['from-older', older],
    ['from-newer', newer],
  ] as const) {
    let [here, there] = first === older ? [older, newer] : [newer, older];
    await command(here, 'disk', 'create', name, '--size', '4M');
    await change(here, name, 0, mib, `${name} first`);
    for (let move = 0; move < 4; move += 1) {
      await change(there, name, move * 65_536 + mib / 2, mib, `${name} ${move}`);
      [here, there] = [there, here];
      t.equal(await digestOf(there, name), await digestOf(here, name), `${name}, move ${move}`);
      await hasWhole(here, name);
      await until('the former owner lets go', async () => (await diskStatus(there, name)).place === 'elsewhere');
    }
    t.equal((await diskStatus(here, name)).epoch, 5);
    const digest = await digestOf(here, name);
    for (const daemon of [older, newer]) {
      await (name === 'from-older' ? daemon.stop() : daemon.kill());
      await daemon.start();
      await seesBoth(older, newer);
      t.equal(await digestOf(older, name), digest, 'read at the older node');
      t.equal(await digestOf(newer, name), digest, 'read at the newer node');
    }
    await change(there, name, 0, 4096, 'after the restarts');
    t.equal((await diskStatus(there, name)).place, 'owner');
    t.equal(await digestOf(here, name), await digestOf(there, name));
  }
});

t.test('a disk goes by migrate and take, with a snapshot and over an image', { timeout: 600_000 }, async (t) => {
  const { older, newer } = await startPair(t);
  const origin = await ScriptedOrigin.start(t, Buffer.alloc(2 * mib, 'base '));
  for (const daemon of [older, newer]) await command(daemon, 'image', 'add', 'base', origin.url);
  for (const [name, here, there, id] of [
    ['to-newer', older, newer, 'newer'],
    ['to-older', newer, older, 'older'],
  ] as const) {
    await command(here, 'disk', 'create', name, '--image', 'base', '--size', '4M');
    await change(here, name, 4096, mib, name);
    const digest = await digestOf(here, name);
    await command(here, 'disk', 'migrate', name, '--to', id);
    await hasWhole(there, name);
    t.equal(await digestOf(there, name), digest);
    await command(here, 'disk', 'take', name);
    await hasWhole(here, name);
    t.equal(await digestOf(here, name), digest);
  }
});

t.test('a force at the newer node deposes the older owner when it comes back', { timeout: 600_000 }, async (t) => {
  const { older, newer } = await startPair(t);
  await command(older, 'disk', 'create', 'vm', '--size', '4M');
  await change(older, 'vm', 0, mib, 'lost with its owner');
  await until('the newer node knows the disk', async () => (await diskStatus(newer, 'vm')).owner === 'older');
  await older.kill();
  await until('the owner is away', async () => (await diskStatus(newer, 'vm')).place === 'unreachable');
  await command(newer, 'disk', 'take', 'vm', '--force', '--accept-loss');
  await change(newer, 'vm', mib, mib, 'after the force');
  const digest = await digestOf(newer, 'vm');
  await older.start();
  await seesBoth(older, newer);
  await until('the older node gives the disk up', async () => (await diskStatus(older, 'vm')).owner === 'newer');
  t.equal(await digestOf(older, 'vm'), digest);
  t.equal(await digestOf(newer, 'vm'), digest);
});

t.test('a call that the older node does not know is refused with words', { timeout: 600_000 }, async (t) => {
  const { older, newer, addresses } = await startPair(t);
  await command(older, 'disk', 'create', 'vm', '--size', '4M');
  const { uuid } = await diskStatus(older, 'vm');
  const peer = { id: 'older', address: addresses[0] ?? '' };
  t.match(await callPeer(peer, 'disk.describe', { uuid }, { selfId: 'newer' }), { state: 'owner' });
  await t.rejects(callPeer(peer, 'disk.sometime', { uuid }, { selfId: 'newer' }), {
    code: 'ERR_NO_SUCH_METHOD',
    message: /older.*disk\.sometime/,
  });
  t.match(JSON.parse((await newer.api('GET', '/v1/cluster')).body), { members: [{ state: 'self' }, { id: 'older', state: 'up' }] });
});

t.test('the older node is upgraded on its state, while the newer one serves', { timeout: 600_000 }, async (t) => {
  const { older, newer, addresses, release } = await startPair(t);
  for (const name of ['stays', 'goes', 'comes']) await command(name === 'comes' ? newer : older, 'disk', 'create', name, '--size', '4M');
  await change(older, 'stays', 0, mib, 'stays');
  await change(older, 'goes', 0, mib, 'goes');
  await change(newer, 'goes', mib, mib, 'goes');
  await change(newer, 'comes', 0, mib, 'comes');
  await change(older, 'comes', mib, mib, 'comes');
  await hasWhole(newer, 'goes');
  await hasWhole(older, 'comes');
  const digests = new Map<string, string>();
  for (const name of ['stays', 'goes', 'comes']) digests.set(name, await digestOf(newer, name));
  await older.stop();
  older.configure(memberOptions(ids, addresses, 0));
  await older.start();
  await seesBoth(older, newer);
  t.match(JSON.parse((await older.api('GET', '/v1/status')).body), { version });
  for (const [name, digest] of digests) {
    for (const daemon of [older, newer]) t.equal(await digestOf(daemon, name), digest, `${name}, written under ${release.version}`);
  }
  await change(older, 'goes', 0, 4096, 'back');
  await change(newer, 'stays', 0, 4096, 'away');
  for (const name of digests.keys()) t.equal(await digestOf(older, name), await digestOf(newer, name));
});
