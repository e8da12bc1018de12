/**
 * An owner that did not run for a while, and was deposed by force meanwhile, went on as if nothing had been: it
 * acknowledged writes and flushes, and answered reads from its old copy, until it heard of the new owner. The same
 * after a cut network was back.
 *
 * Now it answers nothing before it has asked the others whose the disk is. Where nobody answers it goes on.
 */
import t, { type Test } from 'tap';
import { native } from '../../src/base/native/loader.js';
import { answerMs, leaseMs } from '../../src/disk/lease/lease-keeper.js';
import { allUp, controlOf, ownerFile } from '../cluster/fault/disk-fleet.js';
import { type ClusterNode, prepareFleet } from '../cluster/fault/node.js';
import { Lab } from '../lab/lab.js';
import type { LabPlace } from '../lab/place.js';
import { until } from '../support/wait.js';
import { BusyGuest, kinds, totalOf } from './busy-guest.js';

// They wait for time to pass, mostly.
t.jobs = 3;
const disk = 'slept';
const none = Object.fromEntries(kinds.map((kind) => [kind, 0]));

/** Two nodes, the first owns the disk, and a guest of it that is at work. */
async function scene(t: Test, at: number | readonly LabPlace[], fastPath: boolean) {
  const [one, two] = await prepareFleet(t, { at, images: {}, fastPath });
  if (one === undefined || two === undefined) throw new Error('two nodes');
  await Promise.all([one.start(), two.start()]);
  await allUp([one, two]);
  const { uuid } = await controlOf(t, one).disks.create({ name: disk, sizeBytes: 8 * 2 ** 20 });
  await until('it is known', async () => (await controlOf(t, two).disks.list()).some(({ name }) => name === disk));
  const guest = await BusyGuest.attach(t, one, disk);
  guest.run();
  await atWork(guest);
  return { one, two, uuid, guest };
}

/** Resolves when each kind of request was answered again. */
async function atWork(guest: BusyGuest): Promise<void> {
  const before = { ...guest.done };
  await until('the guest is at work', () => {
    if (guest.errors.length > 0) throw guest.errors[0];
    return kinds.every((kind) => guest.done[kind] > before[kind]);
  });
}

async function takeByForce(t: Test, node: ClusterNode, lost: ClusterNode): Promise<void> {
  await until('the owner is down', async () => (await node.member(lost.id))?.state === 'down');
  t.match(await controlOf(t, node).disks.take(disk, { force: true, acceptLoss: true }), { place: 'owner' });
}

/** Resolves when a lease has passed that was moved on before the call. */
async function sleepsLongEnough(): Promise<void> {
  const lease = native.openLease();
  lease.open(leaseMs);
  await until('the lease has passed', () => !lease.isValid());
}

for (const fastPath of [true, false]) {
  const how = fastPath ? 'natively' : 'in TypeScript';

  t.test(`stopped, deposed, and going on: ${how}`, { buffered: true }, async (t) => {
    const { one, two, uuid, guest } = await scene(t, 2, fastPath);
    one.signal('SIGSTOP');
    await takeByForce(t, two, one);
    // All that was said before has been read by now.
    const before = { ...guest.done };
    guest.mark();
    const late = guest.askEach();
    one.signal('SIGCONT');
    await Promise.all([late, guest.failed()]);
    t.same(guest.doneSinceMark, none, 'what is asked after it was deposed');
    // Reads that were answered before it slept may still be in its sockets.
    const { read, 'large read': largeRead } = guest.done;
    t.same(guest.done, { ...before, read, 'large read': largeRead }, 'changes that were asked for before, and not acknowledged by then');
    await until('it knows', () => ownerFile(one, uuid)?.state === 'granted');
    t.equal(ownerFile(two, uuid)?.state, 'owner');
  });
}

t.test('stopped for a while, and nobody answers', { buffered: true }, async (t) => {
  const { one, two, guest } = await scene(t, 2, true);
  await two.kill();
  await until('the other is down', async () => (await one.member('n2'))?.state === 'down');
  await atWork(guest);
  one.signal('SIGSTOP');
  await sleepsLongEnough();
  guest.mark();
  const late = guest.askEach();
  const startMs = performance.now();
  one.signal('SIGCONT');
  await late;
  t.ok(performance.now() - startMs > answerMs / 2, 'it asks first');
  await atWork(guest);
  t.equal(one.logged(/goes on as their owner/).length, 1);
});

t.test('stopped for a while, and still the owner', { buffered: true }, async (t) => {
  const { one, guest } = await scene(t, 2, true);
  one.signal('SIGSTOP');
  await sleepsLongEnough();
  one.signal('SIGCONT');
  await atWork(guest);
  t.ok(one.logged(/did not run for a while/).length > 0, 'it asked');
  t.same(one.logged(/goes on as their owner/), [], 'and was told');
});

t.test('a cut network that is back', { buffered: true }, async (t) => {
  const unavailable = await Lab.unavailable();
  if (unavailable !== undefined) throw new Error(`links can't be cut here: ${unavailable}`);
  const lab = await Lab.start({ hostCount: 2, hostBitsPerSecond: 0, originBitsPerSecond: 0, originLatencyMs: 0 });
  t.teardown(() => lab.close());
  const [placeOne, placeTwo] = lab.hosts;
  if (placeOne === undefined || placeTwo === undefined) throw new Error('two places');
  const { one, two, uuid, guest } = await scene(t, lab.hosts, true);
  await Promise.all([lab.cut(placeOne, placeTwo), lab.cut(placeTwo, placeOne)]);
  await until('it hears nobody', async () => (await one.member('n2'))?.state === 'down');
  await atWork(guest);
  t.comment('while nobody answers it goes on');
  await takeByForce(t, two, one);
  await atWork(guest);
  const upCount = one.logged(/peer is up/).length;
  await Promise.all([lab.restore(placeOne, placeTwo), lab.restore(placeTwo, placeOne)]);
  await until('they hear each other', () => one.logged(/peer is up/).length > upCount);
  guest.mark();
  await guest.failed();
  t.equal(totalOf(guest.doneSinceMark), 0, 'what is asked after it has heard the other');
  await until('it knows', () => ownerFile(one, uuid)?.state === 'granted');
});
