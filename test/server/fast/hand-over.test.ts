/** How a connection comes to native threads, and away from them: nothing is lost, nobody is held up, and where it can't be done nobody notices. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Clock } from '../../../src/base/clock.js';
import { CopseError } from '../../../src/base/error.js';
import { silentLogger } from '../../../src/base/log.js';
import { native } from '../../../src/base/native/loader.js';
import { FastAccess } from '../../../src/device/fast-access.js';
import { unknownClient } from '../../../src/server/client-identity.js';
import { createExportMetrics, foldLanes } from '../../../src/server/export-metrics.js';
import { Server } from '../../../src/server/server.js';
import { Cmd, Option } from '../../conformance/wire/constant.js';
import { enter, Handshake, infoData, optionBytes } from '../../conformance/wire/handshake.js';
import { Session } from '../../conformance/wire/session.js';
import { shortDir } from '../../support/short-dir.js';
import { StoppedClock } from '../../support/stopped-clock.js';
import { holds } from '../../support/wait.js';
import { ScriptedDevice } from '../scripted-device.js';
import { streamPair } from '../stream-pair.js';

const chunkBytes = 64 * 1024;
const content = Buffer.alloc(64 * chunkBytes, 'copse on the fast path');

/** Reads that come up to it are none that native threads should have answered. */
class FilledDevice extends ScriptedDevice {
  offered = true;
  readonly fast: FastAccess;

  constructor(image: ReturnType<typeof native.openChunkFile>) {
    super(content);
    this.isHit = () => false;
    this.fast = new FastAccess({ offer: () => (this.offered ? { overlay: undefined, image, writable: false } : undefined) });
  }
}

async function stand(t: Test, clock?: Clock) {
  const folder = shortDir(t);
  const image = native.openChunkFile({
    dataPath: join(folder, 'data'),
    mapPath: join(folder, 'map'),
    sizeBytes: content.length,
    chunkBytes,
    recordsOffset: 4096,
    recordSeed: 1,
    trusted: true,
  });
  for (let chunk = 0; chunk * chunkBytes < content.length; chunk += 1) await image.store(chunk, content, chunk * chunkBytes);
  const device = new FilledDevice(image);
  const metrics = createExportMetrics();
  let held = 0;
  const release = (): void => {
    held -= 1;
  };
  const server = new Server({
    directory: {
      list: () => [],
      open: async (name) => {
        held += 1;
        return { name, description: '', device, metrics, release };
      },
    },
    limits: {
      connectionCount: 10,
      handshakeTimeoutMs: 60_000,
      requestsPerConnection: 16,
      bytesPerConnection: 2 ** 26,
      requestMemoryBytes: 2 ** 28,
    },
    log: silentLogger,
    ...(clock === undefined ? {} : { clock }),
  });
  const path = join(folder, 's');
  await server.listen({ kind: 'unix', path });
  t.after(async () => {
    await server.stop(0);
    await image.close();
  });
  return { server, device, metrics, path, heldCount: () => held };
}

async function dial(path: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Sends the last option and two reads as one piece. */
async function enterInHaste(path: string): Promise<{ session: Session; first: bigint; second: bigint; socket: Socket }> {
  const socket = await dial(path);
  const handshake = await Handshake.start(socket);
  const session = new Session(handshake.bytes, {
    info: { sizeBytes: BigInt(content.length), flags: 0 },
    replies: 'simple',
    contexts: new Map(),
  });
  const [first, second] = [0, chunkBytes].map((offset) => session.encode({ type: Cmd.read, offset, lengthBytes: 4096 }));
  if (first === undefined || second === undefined) throw new Error('two were made');
  handshake.bytes.send(Buffer.concat([optionBytes(Option.go, infoData('x')), first.bytes, second.bytes.subarray(0, 5)]));
  await handshake.replies(Option.go);
  handshake.bytes.send(second.bytes.subarray(5));
  return { session, first: first.cookie, second: second.cookie, socket };
}

t.test('requests that come with the end of the negotiation are answered', async (t) => {
  const { path, metrics, device, heldCount } = await stand(t);
  // Native threads are told what they may answer when the connection is theirs: what came before may be left to the device.
  device.isHit = () => true;
  const { session, first, second, socket } = await enterInHaste(path);
  t.ok((await session.answer(second)).data.equals(content.subarray(chunkBytes, chunkBytes + 4096)));
  t.ok((await session.answer(first)).data.equals(content.subarray(0, 4096)));
  const { fast, reads } = foldLanes(metrics);
  t.equal(reads.cache.count, 2);
  t.equal(fast.lanes.size, 1);
  t.equal(fast.reads + fast.handedUp, 2);
  await session.disconnect();
  socket.destroy();
  await holds(() => fast.lanes.size === 0);
  t.equal(heldCount(), 0);
});

t.test('a connection that can not be handed over goes on as it was', async (t) => {
  const { path, metrics, device } = await stand(t);
  const { openLane } = native;
  t.teardown(() => {
    native.openLane = openLane;
  });
  native.openLane = () => {
    throw new CopseError('EMFILE', 'too many open files');
  };
  device.isHit = () => true;
  const { session, first, second, socket } = await enterInHaste(path);
  t.ok((await session.answer(first)).data.equals(content.subarray(0, 4096)));
  t.ok((await session.answer(second)).data.equals(content.subarray(chunkBytes, chunkBytes + 4096)));
  t.ok((await session.read(0, 100_000)).data.equals(content.subarray(0, 100_000)), 'what comes later is read, too');
  t.equal(foldLanes(metrics).fast.reads, 0);
  t.equal(metrics.fast.lanes.size, 0);
  socket.destroy();
});

t.test('a stream that is no socket is served, too', async (t) => {
  const { server, device, metrics } = await stand(t);
  device.isHit = () => true;
  const [near, far] = streamPair();
  const served = server.accept(far, unknownClient('a test'));
  const session = await enter(near, 'x');
  t.ok((await session.read(0, 4096)).data.equals(content.subarray(0, 4096)));
  t.equal(metrics.fast.lanes.size, 0);
  near.destroy();
  await served;
});

t.test('what is counted natively is in the export’s counters when somebody looks, once', async (t) => {
  const { path, metrics } = await stand(t);
  const socket = await dial(path);
  const session = await enter(socket, 'x');
  for (let count = 1; count <= 3; count += 1) {
    await session.read(0, 4096);
    const { reads, fast } = foldLanes(foldLanes(metrics));
    t.same([reads.cache.count, reads.cache.bytes, reads.cache.latency.count, fast.reads], [count, 4096 * count, count, count]);
  }
  await session.read(4096, 512);
  await session.disconnect();
  socket.destroy();
  await holds(() => metrics.fast.lanes.size === 0);
  t.same([metrics.reads.cache.count, metrics.reads.cache.bytes], [4, 3 * 4096 + 512], 'and at the end without a look');
  t.equal(metrics.reads.cache.latency.count, 4);
});

t.test('what is not offered any more goes to the device', async (t) => {
  const { path, device, metrics } = await stand(t);
  const socket = await dial(path);
  const session = await enter(socket, 'x');
  await session.read(0, 4096);
  device.offered = false;
  await device.fast.refresh();
  const answer = session.read(0, 4096);
  await device.waiting(1);
  device.takePending(0).resolve();
  t.ok((await answer).data.equals(content.subarray(0, 4096)));
  t.same([foldLanes(metrics).fast.reads, metrics.fast.handedUp], [1, 1]);
  socket.destroy();
});

t.test('stop answers what is under way, then closes', async (t) => {
  const { server, path, device, heldCount } = await stand(t, new StoppedClock());
  const socket = await dial(path);
  const session = await enter(socket, 'x');
  await session.read(0, 4096);
  device.offered = false;
  await device.fast.refresh();
  const answer = session.read(0, 4096);
  await device.waiting(1);
  const stopped = server.stop(60_000);
  device.takePending(0).resolve();
  t.ok((await answer).data.equals(content.subarray(0, 4096)));
  await stopped;
  socket.destroy();
  t.equal(heldCount(), 0);
});

t.test('a client that reads nothing is closed when it is in the way, and only then', async (t) => {
  const clock = new StoppedClock();
  const { path, device, metrics, heldCount } = await stand(t, clock);
  const socket = await dial(path);
  const session = await enter(socket, 'x');
  const other = await dial(path);
  const otherSession = await enter(other, 'x');
  await otherSession.read(0, 4096);
  socket.pause();
  // Far more than a socket holds.
  for (let count = 0; count < 64; count += 1) session.send({ type: Cmd.read, offset: 0, lengthBytes: content.length });
  let reads = 0;
  while (reads < 2) {
    reads = foldLanes(metrics).fast.reads;
    await new Promise(setImmediate);
  }
  device.offered = false;
  let isQuiet = false;
  const quiet = device.fast.refresh().then(() => {
    isQuiet = true;
  });
  for (let count = 0; count < 100; count += 1) await new Promise(setImmediate);
  t.equal(isQuiet, false);
  // Until it has been seen twice in the same state.
  while (!isQuiet) {
    clock.fire();
    await new Promise(setImmediate);
  }
  await quiet;
  await holds(() => metrics.fast.lanes.size <= 1);
  t.equal(heldCount(), 1, 'the other client stays');
  socket.destroy();
  other.destroy();
});

t.test('a client that reads all the time is waited for', async (t) => {
  const clock = new StoppedClock();
  const { path, device, metrics } = await stand(t, clock);
  const socket = await dial(path);
  const session = await enter(socket, 'x');
  socket.pause();
  session.send({ type: Cmd.read, offset: 0, lengthBytes: content.length });
  await holds(() => foldLanes(metrics).fast.reads >= 1);
  device.offered = false;
  let isQuiet = false;
  const quiet = device.fast.refresh().then(() => {
    isQuiet = true;
  });
  let received = 0;
  let enough = 0;
  socket.on('data', (piece: Buffer) => {
    received += piece.length;
    // One turn may bring all that is left.
    if (received >= enough) socket.pause();
  });
  let firedCount = 0;
  while (received < content.length + 16) {
    // Far more than a socket holds: something has left it, and something has come.
    enough = Math.min(received + 1024 * 1024, content.length + 16);
    while (received < enough && !socket.readableEnded) {
      socket.resume();
      await new Promise(setImmediate);
    }
    socket.pause();
    if (socket.readableEnded) break;
    if (!isQuiet) firedCount += 1;
    clock.fire();
  }
  t.equal(received, content.length + 16, 'it has all of its answer');
  t.ok(firedCount > 1, 'and was looked at meanwhile');
  await quiet;
  t.equal(metrics.fast.lanes.size, 1, 'it stays');
  socket.destroy();
});

t.test('a connection that is destroyed with replies in its way gives all back', async (t) => {
  const { server, path, device, metrics, heldCount } = await stand(t);
  device.isHit = () => true;
  device.offered = false;
  const socket = await dial(path);
  const session = await enter(socket, 'x');
  socket.pause();
  for (let count = 0; count < 15; count += 1) session.send({ type: Cmd.read, offset: 0, lengthBytes: content.length });
  await holds(() => metrics.reads.cache.count >= 4);
  await server.stop(0);
  t.equal(heldCount(), 0);
  t.equal(metrics.fast.lanes.size, 0);
  socket.destroy();
});
