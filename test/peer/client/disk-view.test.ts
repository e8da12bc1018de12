/** A disk read through its owner: two ends over real sockets. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ClosedError, CopseError } from '../../../src/base/error.js';
import { parsePeerAddress } from '../../../src/cluster/address.js';
import type { BlockDevice } from '../../../src/device/device.js';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import { PeerDiskView, type PeerDiskViewOptions } from '../../../src/peer/client/disk-view.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { pattern } from '../../conformance/content.js';
import { missing, run } from '../../interop/serving.js';
import { ScriptedDevice } from '../../server/scripted-device.js';
import { holds } from '../../support/wait.js';
import { codeOf, TestDisks, uuid } from '../disk-server.js';
import { type PeerServer, servePeers } from '../peer-server.js';

const sizeBytes = 2 ** 20;
const content = pattern(sizeBytes, 5);

interface Stand {
  device: ScriptedDevice;
  contents: TestDisks;
  served: PeerServer;
  view: PeerDiskView;
  /** Nodes that are attached. */
  attached: string[];
}

function viewOf(t: Test, address: string, options: Partial<PeerDiskViewOptions> = {}): PeerDiskView {
  const view = new PeerDiskView({
    peer: { id: 'a', address },
    uuid,
    sizeBytes,
    selfId: 'b',
    retryMs: 5,
    connectTimeoutMs: 60_000,
    ...options,
  });
  t.after(() => view.destroy('the test is over'));
  return view;
}

async function stand(t: Test, options: Partial<PeerDiskViewOptions> = {}): Promise<Stand> {
  const device = new ScriptedDevice(Buffer.from(content));
  const contents = new TestDisks('a');
  const attached: string[] = [];
  contents.disk = async (wanted, from) => {
    if (wanted !== uuid) return undefined;
    attached.push(from);
    return { device, release: () => void attached.splice(attached.indexOf(from), 1) };
  };
  const served = await servePeers(t, contents);
  return { device, contents, served, attached, view: viewOf(t, served.address, options) };
}

t.test('reads, flushes and extents are those of the owner', async (t) => {
  const { device, view } = await stand(t);
  const asDevice: BlockDevice = view;
  const target = Buffer.alloc(5000);
  t.equal(await asDevice.read(target, 123), 'peer');
  t.ok(target.equals(content.subarray(123, 5123)));
  content.copy(device.content, 8192, 0, 4096);
  device.isHit = () => false;
  const reading = view.read(target, 8192);
  await device.waiting(1);
  device.takePending(8192).resolve();
  await reading;
  t.ok(target.subarray(0, 4096).equals(content.subarray(0, 4096)), 'as it is now');
  let flushCount = 0;
  device.flush = async () => {
    flushCount += 1;
  };
  await view.flush();
  t.equal(flushCount, 1, 'the owner flushes');
  const kinds = { data: { zero: false, hole: false }, zeros: { zero: true, hole: true }, base: { zero: false, hole: true } };
  device.extents = async (_offset, lengthBytes) => [
    { lengthBytes: 4096, ...kinds.data },
    { lengthBytes: 4096, ...kinds.zeros },
    { lengthBytes: lengthBytes - 8192, ...kinds.base },
  ];
  t.same(await view.extents(0, 65536, 10), [
    { lengthBytes: 4096, ...kinds.data },
    { lengthBytes: 4096, ...kinds.zeros },
    { lengthBytes: 57344, ...kinds.base },
  ]);
  t.same(await view.extents(0, 65536, 2), [
    { lengthBytes: 4096, ...kinds.data },
    { lengthBytes: 4096, ...kinds.zeros },
  ]);
  t.notOk(view.readNow());
  t.same(view.cachedExtents(0, 100), [{ lengthBytes: 100, cached: false }]);
});

t.test('zeros that the owner knows of travel as a hole', async (t) => {
  const { device, view } = await stand(t);
  device.isHole = () => true;
  device.isHit = () => false;
  const target = Buffer.alloc(4096, 0xee);
  await view.read(target, 4096);
  t.ok(target.equals(Buffer.alloc(4096)));
  t.equal(device.pending.length, 0, 'nothing was read');
});

t.test('a node counts as attached from `attach` until the view is closed, also without requests', async (t) => {
  const { view, attached, served } = await stand(t);
  t.same(attached, []);
  await view.attach();
  t.same(attached, ['b']);
  await view.read(Buffer.alloc(1), 0);
  t.same(attached, ['b'], 'by one connection');
  await view.close();
  await view.close();
  await holds(() => attached.length === 0 && served.server.connectionCount === 0);
});

t.test('whoever does not own the disk says so, and no guest hears ESHUTDOWN', async (t) => {
  const { device, view, attached, served } = await stand(t);
  await view.attach();
  const moved = new CopseError('ERR_NOT_OWNER', 'node c owns it');
  device.isHit = () => false;
  device.read = () => Promise.reject(moved);
  device.flush = () => Promise.reject(moved);
  device.extents = () => Promise.reject(moved);
  t.equal(await codeOf(view.read(Buffer.alloc(1), 0)), 'ERR_NOT_OWNER');
  t.equal(await codeOf(view.flush()), 'ERR_NOT_OWNER');
  t.equal(await codeOf(view.extents(0, 1, 1)), 'ERR_NOT_OWNER');
  const raw = await NbdClient.connect({ address: parsePeerAddress(served.address), exportName: `disk/${uuid};from=c` });
  t.equal(await codeOf(raw.flush()), 'ESHUTDOWN', 'on the wire');
  await raw.closed;
  await view.close();
  await holds(() => attached.length === 0);
});

t.test('several requests that meet a former owner all hear that it is one', async (t) => {
  const { device, view } = await stand(t);
  device.isHit = () => false;
  const reads = Array.from({ length: 20 }, (_, index) => codeOf(view.read(Buffer.alloc(1), index)));
  await device.waiting(20);
  for (let index = 0; index < 20; index += 1) device.takePending(index).reject(new CopseError('ERR_NOT_OWNER', 'moved'));
  t.same(new Set(await Promise.all(reads)), new Set(['ERR_NOT_OWNER']));
});

t.test('a disk that is not there, or can not be opened, is not owned there', async (t) => {
  const { contents, served } = await stand(t);
  const other = viewOf(t, served.address, { uuid: uuid.replace('0b', '0c') });
  t.equal(await codeOf(other.read(Buffer.alloc(1), 0)), 'ERR_NOT_OWNER');
  contents.disk = () => Promise.reject(new CopseError('ERR_NOT_OWNER', 'moved'));
  t.equal(await codeOf(viewOf(t, served.address).attach()), 'ERR_NOT_OWNER');
  const { address } = await servePeers(t, new TestDisks('a'));
  t.equal(await codeOf(viewOf(t, address).read(Buffer.alloc(1), 0)), 'ERR_NOT_OWNER', 'a node without disks');
});

t.test('any other error is a refusal with its reason, and asked once', async (t) => {
  const { device, view } = await stand(t);
  device.isHit = () => false;
  let readCount = 0;
  device.read = () => {
    readCount += 1;
    return Promise.reject(new CopseError('ERR_ORIGIN_UNAVAILABLE', 'the origin is in the sea'));
  };
  await t.rejects(view.read(Buffer.alloc(1), 0), { code: 'ERR_PEER_REFUSED', peerId: 'a', message: /in the sea/ });
  t.equal(readCount, 1);
});

t.test('a disk of another size is a lie', async (t) => {
  const { served } = await stand(t);
  for (const size of [sizeBytes - 4096, sizeBytes + 4096]) {
    t.equal(await codeOf(viewOf(t, served.address, { sizeBytes: size }).read(Buffer.alloc(1), 0)), 'ERR_PEER_LIED');
  }
});

t.test('nobody writes through it, at either end', async (t) => {
  const { device, view, served } = await stand(t);
  for (const write of [view.write(), view.writeZeroes(), view.trim()]) t.equal(await codeOf(write), 'EROFS');
  t.equal(await codeOf(view.cache()), 'ENOTSUP');
  const raw = await NbdClient.connect({ address: parsePeerAddress(served.address), exportName: `disk/${uuid};from=c` });
  t.equal(await codeOf(raw.write(Buffer.alloc(512), 0)), 'EPERM');
  t.equal(await codeOf(raw.cache(0, 512)), 'ENOTSUP');
  raw.destroy();
  t.ok(device.content.equals(content));
});

t.test('a read that loses its connection goes on when the owner is back', async (t) => {
  const { device, view, served, contents, attached } = await stand(t);
  device.isHit = () => false;
  const target = Buffer.alloc(4096);
  const reading = view.read(target, 0);
  await device.waiting(1);
  const pending = device.takePending(0);
  await served.server.stop(0);
  t.ok(pending.signal?.aborted, 'the owner gave it up');
  await servePeers(t, contents, { address: served.address });
  await device.waiting(1);
  device.takePending(0).resolve();
  await reading;
  t.ok(target.equals(content.subarray(0, 4096)));
  t.same(attached, ['b']);
});

t.test('an owner that is stopping says nothing, and a read goes on when it is back', async (t) => {
  const { device, view, served, contents } = await stand(t);
  device.isHit = () => false;
  const { read } = device;
  let closedCount = 0;
  device.read = async () => {
    closedCount += 1;
    throw new ClosedError('the disk');
  };
  const target = Buffer.alloc(4096);
  const reading = view.read(target, 0);
  await holds(() => closedCount === 1);
  await served.server.stop(0);
  device.read = read;
  await servePeers(t, contents, { address: served.address });
  await device.waiting(1);
  device.takePending(0).resolve();
  await reading;
  t.ok(target.equals(content.subarray(0, 4096)));
});

t.test('without an owner a read fails at its deadline, as soon as the next attempt would be later', async (t) => {
  const { served, view } = await stand(t);
  await served.server.stop(0);
  const keepAlive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keepAlive));
  const target = Buffer.alloc(4096, 0xee);
  await t.rejects(view.read(target, 0, { deadlineMs: 100 }), { code: 'ERR_PEER_GONE', peerId: 'a' });
  t.ok(target.equals(Buffer.alloc(4096, 0xee)));
});

t.test('an owner that never answers is given up at the deadline, and its connection with it', async (t) => {
  const clock = new ManualClock();
  const { device, view, attached } = await stand(t, { clock });
  device.isHit = () => false;
  const target = Buffer.alloc(4096, 0xee);
  const reading = codeOf(view.read(target, 0, { deadlineMs: 1000 }));
  await device.waiting(1);
  clock.advance(999);
  const bystander = view.read(Buffer.alloc(100), 4096);
  await device.waiting(2);
  clock.advance(1);
  t.equal(await reading, 'ERR_PEER_GONE');
  device.pending.splice(0);
  // Nothing came by that connection all the time: who has time left asks again, on another.
  while (device.pending.length === 0) {
    clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(attached, ['b', 'b'], 'the owner has not heard yet that the first has ended');
  device.takePending(4096).resolve();
  await bystander;
  t.ok(target.equals(Buffer.alloc(4096, 0xee)), 'nobody writes to what was given up');
});

t.test('one slow request ends no connection by which others are answered', async (t) => {
  const clock = new ManualClock();
  const { device, view } = await stand(t, { clock });
  device.isHit = (offset) => offset !== 0;
  const reading = codeOf(view.read(Buffer.alloc(100), 0, { deadlineMs: 1000 }));
  await device.waiting(1);
  await view.read(Buffer.alloc(100), 4096);
  clock.advance(1000);
  t.equal(await reading, 'ERR_PEER_GONE');
  await view.read(Buffer.alloc(100), 4096);
  t.notOk(device.pending[0]?.signal?.aborted);
});

t.test('who gives up hears it at once, waiting for an answer or for a connection', async (t) => {
  const { device, view, served } = await stand(t);
  device.isHit = () => false;
  const first = new AbortController();
  const reading = codeOf(view.read(Buffer.alloc(1), 0, { signal: first.signal }));
  await device.waiting(1);
  first.abort();
  t.equal(await reading, 'ERR_ABORTED');
  await served.server.stop(0);
  const keepAlive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keepAlive));
  const second = new AbortController();
  const waiting = codeOf(view.read(Buffer.alloc(1), 0, { signal: second.signal }));
  await new Promise((resolve) => setImmediate(resolve));
  second.abort();
  t.equal(await waiting, 'ERR_ABORTED');
  t.equal(await codeOf(view.read(Buffer.alloc(1), 0, { signal: second.signal })), 'ERR_ABORTED');
});

t.test('destroyed while requests wait: all fail at once; without a deadline nothing else would end them', async (t) => {
  const { device, view, served } = await stand(t);
  device.isHit = () => false;
  const reading = view.read(Buffer.alloc(1), 0);
  await device.waiting(1);
  const away = viewOf(t, served.address.replace(/\d+$/, '1'), { clock: new ManualClock() });
  const connecting = away.read(Buffer.alloc(1), 0);
  view.destroy('its pings fail');
  away.destroy('its pings fail');
  for (const request of [reading, connecting]) await t.rejects(request, { code: 'ERR_PEER_GONE', message: /its pings fail/ });
  t.equal(await codeOf(view.read(Buffer.alloc(1), 0)), 'ERR_PEER_GONE');
});

t.test('closed, it answers what is under way; who asks later is to look for the owner anew', async (t) => {
  const { device, view } = await stand(t);
  device.isHit = () => false;
  const target = Buffer.alloc(100);
  const reading = view.read(target, 0);
  await device.waiting(1);
  const closing = view.close();
  t.equal(await codeOf(view.read(Buffer.alloc(1), 0)), 'ERR_NOT_OWNER');
  device.takePending(0).resolve();
  await reading;
  await closing;
  t.ok(target.equals(content.subarray(0, 100)));
});

t.test('closed while it waits for a connection: nobody waits any more', async (t) => {
  const view = viewOf(t, '127.0.0.1:1', { clock: new ManualClock() });
  const reading = codeOf(view.read(Buffer.alloc(1), 0));
  await new Promise((resolve) => setImmediate(resolve));
  await view.close();
  t.equal(await reading, 'ERR_NOT_OWNER');
});

t.test('dropped, a view asks again on another connection', async (t) => {
  const { device, view } = await stand(t);
  device.isHit = () => false;
  const target = Buffer.alloc(100);
  const reading = view.read(target, 0);
  await device.waiting(1);
  view.drop('its pings fail');
  await device.waiting(2);
  for (const pending of device.pending.splice(0)) pending.resolve();
  await reading;
  t.ok(target.equals(content.subarray(0, 100)));
});

t.test('an idle view attaches again to an owner that was restarted', async (t) => {
  const clock = new ManualClock();
  const { view, served, contents, attached } = await stand(t, { clock });
  await view.attach();
  await served.server.stop(0);
  await holds(() => attached.length === 0 && clock.timerCount === 1);
  await servePeers(t, contents, { address: served.address });
  clock.advance(500);
  await holds(() => attached.length === 1);
  view.destroy('enough');
  await holds(() => attached.length === 0);
  clock.advance(60_000);
  t.equal(clock.timerCount, 0, 'nothing more to come');
});

t.test('hundreds of requests at once share a connection', async (t) => {
  const { view, served } = await stand(t);
  const offsets = Array.from({ length: 1500 }, (_, index) => (index * 811) % (sizeBytes - 100));
  await Promise.all(
    offsets.map(async (offset) => {
      const target = Buffer.alloc(100);
      await view.read(target, offset, { deadlineMs: 60_000 });
      if (!target.equals(content.subarray(offset, offset + 100))) t.fail(`wrong bytes at ${offset}`);
    }),
  );
  t.equal(served.server.connectionCount, 1);
});

t.test('nbdinfo and nbdcopy read a disk at its owner', { skip: await missing('nbdinfo', '--version') }, async (t) => {
  const { served, attached } = await stand(t);
  const uri = `nbd://${served.address}/disk/${uuid};from=nbdinfo`;
  const info = JSON.parse((await run(t, 'nbdinfo', ['--json', uri])).stdout);
  t.match(info.exports[0], { 'export-size': sizeBytes, is_read_only: true, can_flush: true });
  const copy = join(t.testdir(), 'copy');
  await run(t, 'nbdcopy', [uri, copy]);
  t.ok((await readFile(copy)).equals(content));
  await holds(() => attached.length === 0);
});
