/**
 * A firewall that forgets flows, for real: packets of established connections are dropped, those of pings and of new
 * connections pass. Reads through such a connection to a home waited for their whole deadline and failed, and so they did where
 * the home waited for its origin on one. Network namespaces need root.
 */
import t, { type Test } from 'tap';
import { startFarOrigin } from '../cluster/fault/far-origin.js';
import { homesOf } from '../cluster/fault/homes.js';
import { type ClusterNode, imageName, startFleet } from '../cluster/fault/node.js';
import { pattern } from '../conformance/content.js';
import type { Session } from '../conformance/wire/session.js';
import { Lab } from '../lab/lab.js';
import type { LabPlace } from '../lab/place.js';
import { until } from '../support/wait.js';

const chunkBytes = 64 * 1024;
const extentBytes = 4 * 2 ** 20;
const bytes = pattern(16 * extentBytes, 79);
/** What a guest may wait for a silent connection. */
const silentWaitMs = 5000;

/** Established connections between a place and an address, as the place's end has them. */
async function flows(place: LabPlace, address: string): Promise<string[]> {
  const lines = (await place.run('ss', ['-tnH', 'state', 'established'])).split('\n');
  return lines.flatMap((line) => {
    const [, , near = '', far = ''] = line.trim().split(/\s+/);
    return far.startsWith(`${address}:`) ? [`${near.split(':').at(-1)} ${far.split(':').at(-1)}`] : [];
  });
}

/** From now on nothing of these connections passes, either way: each end drops what comes from the other. */
async function forget(near: LabPlace, far: LabPlace, forgotten: readonly string[]): Promise<void> {
  const rulesAt = (from: LabPlace, isFar: boolean): string => {
    const rules = forgotten.map((flow) => {
      const [nearPort, farPort] = flow.split(' ');
      const [source, destination] = isFar ? [nearPort, farPort] : [farPort, nearPort];
      return `-I INPUT -p tcp -s ${from.address} --sport ${source} --dport ${destination} -j DROP`;
    });
    return ['*filter', ...rules, 'COMMIT', ''].join('\n');
  };
  await near.run('iptables-restore', ['--noflush'], { input: rulesAt(far, false) });
  await far.run('iptables-restore', ['--noflush'], { input: rulesAt(near, true) });
}

async function readsSoon(t: Test, guest: Session, offset: number, what: string): Promise<void> {
  const startMs = performance.now();
  const { error, data } = await guest.read(offset, chunkBytes);
  const tookMs = performance.now() - startMs;
  t.equal(error, 0, what);
  t.ok(data.equals(bytes.subarray(offset, offset + chunkBytes)), what);
  t.ok(tookMs < silentWaitMs, `${what}: ${Math.round(tookMs)} ms`);
}

t.test('flows that a firewall forgets', async (t) => {
  const unavailable = await Lab.unavailable();
  if (unavailable !== undefined) throw new Error(`links can't be cut here: ${unavailable}`);
  const lab = await Lab.start({ hostCount: 2, hostBitsPerSecond: 0, originBitsPerSecond: 0, originLatencyMs: 2 });
  t.teardown(() => lab.close());
  const { origin, url } = await startFarOrigin(t, lab, bytes);
  const [nearPlace, farPlace] = lab.hosts;
  const nodes = await startFleet(t, { at: lab.hosts, images: { [imageName]: url }, deadline: '30s' });
  const [near, far] = nodes as [ClusterNode, ClusterNode];
  if (nearPlace === undefined || farPlace === undefined) throw new Error('two places');
  const offsets: number[] = [];
  for (let extent = 0; extent * extentBytes < bytes.length; extent += 1) {
    const [home] = await homesOf(extent, nodes);
    if (home === far) offsets.push(extent * extentBytes);
  }
  const [first = 0] = offsets;
  const pings = new Set(await flows(nearPlace, farPlace.address));
  const guest = await near.attach(imageName);
  t.equal((await guest.read(first, chunkBytes)).error, 0);

  await t.test('between the nodes', async (t) => {
    const forgotten = (await flows(nearPlace, farPlace.address)).filter((flow) => !pings.has(flow));
    t.ok(forgotten.length > 0);
    await forget(nearPlace, farPlace, forgotten);
    const offset = first + chunkBytes;
    await readsSoon(t, guest, offset, 'through a home');
    t.equal(origin.requestCount(offset, chunkBytes), 1);
    t.equal((await near.member('n2'))?.state, 'up');
    t.equal((await far.member('n1'))?.state, 'up');
    await until('the kernel gives up what nobody acknowledges', async () => {
      const left = await flows(nearPlace, farPlace.address);
      return forgotten.every((flow) => !left.includes(flow));
    });
  });

  await t.test('between the home and the origin', async (t) => {
    const offset = first + 2 * chunkBytes;
    const forgotten = await flows(farPlace, lab.origin.address);
    t.ok(forgotten.length > 0);
    await forget(farPlace, lab.origin, forgotten);
    await readsSoon(t, guest, offset, 'an origin that was spoken to before');
    t.equal(origin.requestCount(offset, chunkBytes), 1);
  });
});
