/** The server over real sockets: how it stops, and how many it lets in. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Clock } from '../../src/base/clock.js';
import { silentLogger } from '../../src/base/log.js';
import { unknownClient } from '../../src/server/client-identity.js';
import { createExportMetrics } from '../../src/server/export-metrics.js';
import { Server, type ServerLimits } from '../../src/server/server.js';
import { Option } from '../conformance/wire/constant.js';
import { enter, optionBytes } from '../conformance/wire/handshake.js';
import type { Session } from '../conformance/wire/session.js';
import { shortDir } from '../support/short-dir.js';
import { StoppedClock } from '../support/stopped-clock.js';
import { holds } from '../support/wait.js';
import { ScriptedDevice } from './scripted-device.js';
import { streamPair } from './stream-pair.js';

const content = Buffer.alloc(8 * 1024 * 1024, 'copse');

interface Stand {
  server: Server;
  device: ScriptedDevice;
  path: string;
  heldCount(): number;
}

async function stand(t: Test, limits: Partial<ServerLimits> = {}, clock?: Clock): Promise<Stand> {
  const path = join(shortDir(t), 's');
  const device = new ScriptedDevice(content);
  let held = 0;
  const release = (): void => {
    held -= 1;
  };
  const metrics = createExportMetrics();
  const server = new Server({
    directory: {
      list: () => Array.from({ length: 500 }, (_, index) => ({ name: `export-${index}`, description: 'd'.repeat(1000) })),
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
      ...limits,
    },
    log: silentLogger,
    ...(clock === undefined ? {} : { clock }),
  });
  await server.listen({ kind: 'unix', path });
  t.after(() => server.stop(0));
  return { server, device, path, heldCount: () => held };
}

async function dial(path: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function attach(path: string): Promise<{ session: Session; socket: Socket }> {
  const socket = await dial(path);
  return { session: await enter(socket, 'x'), socket };
}

t.test('stop answers what is under way, then closes', async (t) => {
  const { server, device, path, heldCount } = await stand(t, {}, new StoppedClock());
  const { session, socket } = await attach(path);
  device.isHit = () => false;
  const answer = session.read(0, 4096);
  await device.waiting(1);
  const stopped = server.stop(60_000);
  await t.rejects(dial(path), 'nobody is let in any more');
  device.takePending(0).resolve();
  t.ok((await answer).data.equals(content.subarray(0, 4096)));
  await stopped;
  socket.destroy();
  t.equal(server.connectionCount, 0);
  t.equal(heldCount(), 0);
});

t.test('stop closes hard when the time to drain is over', async (t) => {
  const clock = new StoppedClock();
  const { server, device, path, heldCount } = await stand(t, {}, clock);
  const { session, socket } = await attach(path);
  device.isHit = () => false;
  const failed = t.rejects(session.read(0, 4096));
  await device.waiting(1);
  const stopped = server.stop(60_000);
  clock.fire();
  await stopped;
  await failed;
  socket.destroy();
  t.equal(heldCount(), 0);
});

t.test('stop ends clients that negotiate, and those that are idle, at once', async (t) => {
  const { server, path } = await stand(t, {}, new StoppedClock());
  const socket = await dial(path);
  await once(socket, 'data');
  await attach(path);
  t.equal(server.connectionCount, 2);
  await server.stop(60_000);
  t.equal(server.connectionCount, 0);
  socket.destroy();
});

t.test('a client that ends and never reads does not hold up the stop', async (t) => {
  const clock = new StoppedClock();
  const { server, device, path } = await stand(t, {}, clock);
  const { session, socket } = await attach(path);
  socket.pause();
  const read = new Promise<void>((resolve) => {
    device.isHit = () => {
      resolve();
      return true;
    };
  });
  // 4 MiB of answers, which no socket takes, then DISC.
  session.send({ type: 0, offset: 0, lengthBytes: 4 * 1024 * 1024 });
  session.send({ type: 2, offset: 0, lengthBytes: 0 });
  await read;
  const stopped = server.stop(60_000);
  clock.fire();
  await stopped;
  t.equal(server.connectionCount, 0);
  socket.destroy();
});

t.test('a client that asks for a long list, never reads it and ends does not hold up the stop', async (t) => {
  const clock = new StoppedClock();
  const { server, path } = await stand(t, {}, clock);
  const socket = await dial(path);
  await once(socket, 'data');
  socket.pause();
  socket.write(Buffer.concat([Buffer.from([0, 0, 0, 3]), optionBytes(Option.list), optionBytes(Option.abort)]));
  // The first of the answers is there, and stays there.
  await once(socket, 'readable');
  const stopped = server.stop(60_000);
  clock.fire();
  await stopped;
  t.equal(server.connectionCount, 0);
  socket.destroy();
});

t.test('one more than the limit is refused, the others go on, and a place that is free is given again', async (t) => {
  const { server, path } = await stand(t, { connectionCount: 2 });
  const [first, second] = [await attach(path), await attach(path)];
  const third = await dial(path);
  third.resume();
  await once(third, 'end');
  third.destroy();
  t.equal(server.refusedCount, 1);
  t.equal(server.connectionCount, 2);
  t.ok((await first.session.read(0, 10)).data.equals(content.subarray(0, 10)));
  second.socket.destroy();
  await holds(() => server.connectionCount <= 1);
  const fourth = await attach(path);
  t.ok((await fourth.session.read(5, 10)).data.equals(content.subarray(5, 15)));
  for (const { socket } of [first, fourth]) socket.destroy();
});

t.test('a client that does not finish negotiating is closed at the deadline', async (t) => {
  const clock = new StoppedClock();
  const { server, path } = await stand(t, {}, clock);
  const socket = await dial(path);
  await once(socket, 'data');
  clock.fire();
  await once(socket.resume(), 'end');
  socket.destroy();
  await holds(() => server.connectionCount === 0);
  t.pass('and forgotten');
});

t.test('a connection counts until its stream is closed', async (t) => {
  const { server } = await stand(t);
  const [stream, far] = streamPair(16);
  const accepted = server.accept(stream, unknownClient('a stream'));
  far.write(Buffer.concat([Buffer.from([0, 0, 0, 3]), optionBytes(Option.abort)]));
  // It reads slowly: the acknowledgement is on its way when the negotiation is over.
  setImmediate(() => far.resume());
  await accepted;
  t.ok(stream.closed);
  t.equal(server.connectionCount, 0);
});
