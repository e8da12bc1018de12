/** Transmission in memory over a device whose answers the test decides: order, bounds, ends. */
import t from 'tap';
import { Command, ReplyType } from '../../src/nbd/codec/constant.js';
import { RequestMemory } from '../../src/server/request-memory.js';
import { ManualClock } from '../cache/manual-clock.js';
import { ScriptedDevice } from './scripted-device.js';
import { encodeRequest, settled, transmit } from './transmission-client.js';

const content = Buffer.alloc(4 * 1024 * 1024);
for (let at = 0; at < content.length; at += 4) content.writeUInt32BE((at * 2654435761) >>> 0, at);

function missing(features = {}): ScriptedDevice {
  const device = new ScriptedDevice(Buffer.from(content), features);
  device.isHit = () => false;
  return device;
}

t.test('answers come in the order in which they are ready', async (t) => {
  const device = missing();
  const { client } = transmit(device);
  for (const cookie of [0, 1, 2, 3]) client.read(cookie, cookie * 4096, 4096);
  await device.waiting(4);
  for (const cookie of [2, 0, 3, 1]) {
    device.takePending(cookie * 4096).resolve();
    await client.answered(client.answers.length + 1);
  }
  t.same(client.cookies, [2, 0, 3, 1]);
  for (const cookie of [0, 1, 2, 3]) t.ok(client.answerTo(cookie).data.equals(content.subarray(cookie * 4096, cookie * 4096 + 4096)));
});

t.test('a hit overtakes a miss of the same input', async (t) => {
  const device = new ScriptedDevice(content);
  device.isHit = (offset) => offset >= 4096;
  const { client, metrics } = transmit(device);
  client.send(
    encodeRequest(1, Command.READ, 0, 4096),
    encodeRequest(2, Command.READ, 4096, 4096),
    encodeRequest(3, Command.READ, 8192, 512),
  );
  await client.answered(2);
  t.same(client.cookies, [2, 3]);
  device.takePending(0).resolve();
  await client.answered(3);
  t.same(client.cookies, [2, 3, 1]);
  t.match(metrics.reads, { cache: { count: 2, bytes: 4608 }, origin: { count: 1, bytes: 4096 } });
});

t.test('what the client sent behind its last option is served', async (t) => {
  const { client } = transmit(new ScriptedDevice(content), { leftover: encodeRequest(7, Command.READ, 0, 100) });
  await client.answered(1);
  t.same(client.cookies, [7]);
});

t.test('at the bound on requests the input waits, and goes on as they end', async (t) => {
  const device = missing();
  const { client } = transmit(device, { limits: { requests: 3 }, bufferBytes: 1024 });
  for (let cookie = 0; cookie < 500; cookie += 1) client.read(cookie, cookie * 512, 512);
  await device.waiting(3);
  await settled();
  t.equal(device.pending.length, 3);
  t.ok(client.stream.writableLength > 8000, 'the rest is left to the client');
  for (let cookie = 0; cookie < 500; cookie += 1) {
    await device.waiting(1);
    t.ok(device.pending.length <= 3);
    device.takePending(cookie * 512).resolve();
  }
  await client.answered(500);
  t.equal(new Set(client.cookies).size, 500);
});

t.test('at the bound on bytes the input waits, and goes on as they leave', async (t) => {
  const device = missing();
  const { client, memory } = transmit(device, { limits: { bytes: 100_000 } });
  for (let cookie = 0; cookie < 8; cookie += 1) client.read(cookie, cookie * 65_536, 65_536);
  await device.waiting(2);
  await settled();
  t.equal(device.pending.length, 2, 'one begins below the bound and goes beyond it');
  t.ok(memory.takenBytes < 300_000);
  for (let cookie = 0; cookie < 8; cookie += 1) {
    await device.waiting(1);
    device.takePending(cookie * 65_536).resolve();
  }
  await client.answered(8);
});

for (const [what, request] of [
  ['hits', encodeRequest(1, Command.READ, 0, 65_536)],
  ['errors', encodeRequest(1, Command.READ, 2 ** 40, 1)],
  ['block status', encodeRequest(1, Command.BLOCK_STATUS, 0, 4096)],
  ['flushes', encodeRequest(1, Command.FLUSH, 0, 0)],
  ['reads of nothing', encodeRequest(1, Command.READ, 0, 0)],
] as const) {
  t.test(`a client that asks and does not read is held up: ${what}`, async (t) => {
    const { client, memory, serverStream } = transmit(new ScriptedDevice(content), { limits: { bytes: 200_000 }, bufferBytes: 4096 });
    client.stream.pause();
    const count = 20_000;
    client.send(...Array.from({ length: count }, () => request));
    await settled();
    t.ok(memory.takenBytes + serverStream.writableLength < 1_500_000, `${memory.takenBytes} and ${serverStream.writableLength} bytes`);
    // The client's whole input is one write, so what it sent and was not taken stands in the server's receiver or before it.
    client.stream.resume();
    await client.answered(what === 'hits' ? 2000 : count);
    t.pass('and served when it reads');
    client.stream.destroy();
  });
}

t.test('no memory left by others: still one request at a time, a miss and a write too', async (t) => {
  const device = missing();
  const memory = new RequestMemory(1024 * 1024);
  t.ok(memory.tryTake(8 * 1024 * 1024, true), 'somebody else has it all');
  const { client } = transmit(device, { memory });
  client.read(1, 0, 4096);
  client.read(2, 4096, 200_000);
  await device.waiting(1);
  await settled();
  t.equal(device.pending.length, 1, 'the second waits for the first');
  device.takePending(0).resolve();
  await device.waiting(1);
  device.takePending(4096).resolve();
  await client.answered(2);
  client.send(encodeRequest(3, Command.WRITE, 8192, 5), Buffer.from('hello'));
  await client.answered(3);
  t.equal(device.content.toString('latin1', 8192, 8197), 'hello');
});

t.test('a sign of life is given whatever the connection waits for', async (t) => {
  const full = new RequestMemory(1024 * 1024);
  t.ok(full.tryTake(8 * 1024 * 1024, true), 'somebody else has it all');
  for (const [bound, options] of [
    ['requests', { limits: { requests: 4 } }],
    ['bytes', { limits: { requests: 20, bytes: 10_000 } }],
    ['memory', { limits: { requests: 20 }, memory: full }],
  ] as const) {
    const device = missing();
    const { client } = transmit(device, options);
    for (const cookie of [0, 1, 2, 3, 4, 5]) client.read(cookie, cookie * 65_536, 65_536);
    await device.waiting(1);
    client.read(100, 0, 0);
    await client.answered(1);
    client.read(101, 0, 0);
    await client.answered(2);
    t.same(client.cookies, [100, 101], bound);
    for (const cookie of [0, 1, 2, 3, 4, 5]) {
      await device.waiting(1);
      device.takePending(cookie * 65_536).resolve();
    }
    await client.answered(8);
    t.same(client.cookies.slice(2), [0, 1, 2, 3, 4, 5], 'the others in their turn');
  }
});

t.test('what waits for room waits in order, payloads, goodbyes and the end too', async (t) => {
  for (const end of ['DISC', 'end', 'destroy']) {
    const device = missing();
    const { client, done, memory } = transmit(device, { limits: { requests: 1 } });
    client.read(1, 0, 4096);
    client.read(2, 4096, 4096);
    client.send(encodeRequest(3, Command.WRITE, 8192, 5), Buffer.from('hello'));
    client.read(4, 8192, 4096);
    if (end === 'DISC') client.send(encodeRequest(5, Command.DISC, 0, 0), encodeRequest(6, Command.FLUSH, 0, 0));
    if (end === 'end') client.stream.end();
    await device.waiting(1);
    await settled();
    if (end === 'destroy') client.stream.destroy();
    else {
      device.takePending(0).resolve();
      await device.waiting(1);
      device.takePending(4096).resolve();
      await device.waiting(1);
      t.equal(device.content.toString('latin1', 8192, 8197), 'hello');
      device.takePending(8192).resolve();
    }
    await done;
    t.same(client.cookies, end === 'destroy' ? [] : [1, 2, 3, 4], end);
    await settled();
    t.equal(memory.takenBytes, 0);
  }
});

t.test('headers that wait have a bound, and the rest stays with the client', async (t) => {
  const device = missing();
  const { client } = transmit(device, { limits: { requests: 2 }, bufferBytes: 1024 });
  for (let cookie = 0; cookie < 500; cookie += 1) client.read(cookie, cookie * 512, 512);
  await device.waiting(2);
  await settled();
  t.ok(client.stream.writableLength > 8000);
});

t.test('a connection that dies aborts what is under way, gives back its memory and ends', async (t) => {
  const device = missing();
  const { client, memory, done } = transmit(device);
  for (const cookie of [0, 1, 2]) client.read(cookie, cookie * 65_536, 65_536);
  client.send(encodeRequest(9, Command.CACHE, 1_000_000, 5000));
  await device.waiting(4);
  const signals = device.pending.map(({ signal }) => signal?.aborted);
  t.same(signals, [false, false, false, false]);
  client.stream.destroy();
  await done;
  t.ok(device.pending.every(({ signal }) => signal?.aborted === true));
  await settled();
  t.equal(memory.takenBytes, 0);
});

t.test('it does not end before the device has let go', async (t) => {
  const device = missing();
  let letGo = (): void => {};
  // A disk read can't be given up.
  device.read = () =>
    new Promise((resolve) => {
      device.pending.push({ offset: 0, lengthBytes: 0, signal: undefined, resolve: () => {}, reject: () => {} });
      letGo = () => resolve('cache');
    });
  const { client, isDone, done } = transmit(device);
  client.read(1, 0, 4096);
  await settled();
  client.stream.destroy();
  await settled();
  t.notOk(isDone());
  letGo();
  await done;
});

t.test('a connection that dies in the middle of a payload', async (t) => {
  const { client, memory, done } = transmit(new ScriptedDevice(Buffer.from(content)));
  client.send(encodeRequest(1, Command.WRITE, 0, 100_000), Buffer.alloc(50_000, 1));
  await settled();
  t.ok(memory.takenBytes > 0);
  client.stream.destroy();
  await done;
  await settled();
  t.equal(memory.takenBytes, 0);
});

t.test('drain answers what is under way and takes nothing more', async (t) => {
  const device = missing();
  const { client, transmission, done, isDone } = transmit(device);
  client.read(1, 0, 4096);
  await device.waiting(1);
  transmission.drain();
  client.read(2, 4096, 4096);
  await settled();
  t.equal(device.pending.length, 1);
  t.notOk(isDone());
  device.takePending(0).resolve();
  await done;
  t.same(client.cookies, [1]);
});

t.test('drain waits until the client took the answers', async (t) => {
  const { client, transmission, done, isDone } = transmit(new ScriptedDevice(content), { bufferBytes: 1024 });
  client.stream.pause();
  client.read(1, 0, 60_000);
  await settled();
  transmission.drain();
  await settled();
  t.notOk(isDone());
  client.stream.resume();
  await done;
  t.equal(client.answerTo(1).data.length, 60_000);
});

t.test('DISC and an end of the input: what is under way is answered first', async (t) => {
  for (const end of ['DISC', 'end']) {
    const device = missing();
    const { client, done } = transmit(device);
    client.read(1, 0, 4096);
    if (end === 'DISC') client.send(encodeRequest(2, Command.DISC, 0, 0), encodeRequest(3, Command.FLUSH, 0, 0));
    else client.stream.end();
    await device.waiting(1);
    await settled();
    device.takePending(0).resolve();
    await done;
    t.same(client.cookies, [1], end);
  }
});

t.test('a client that closed its end and does not come for its answers is given up after a while', async (t) => {
  const device = missing();
  const clock = new ManualClock();
  const { client, done } = transmit(device, { clock });
  client.read(1, 0, 4096);
  client.stream.end();
  await device.waiting(1);
  await settled();
  t.equal(device.pending[0]?.signal?.aborted, false, 'not at once: it may have half-closed');
  clock.advance(60_000);
  await done;
  t.equal(device.pending[0]?.signal?.aborted, true);
  t.equal(clock.timerCount, 0);
});

t.test('garbage ends it with an error', async (t) => {
  const { client, done, memory } = transmit(new ScriptedDevice(content));
  client.send(Buffer.from('GET / HTTP/1.1\r\nHost: example.org\r\n\r\n'));
  await t.rejects(done, { code: 'ERR_NBD_PROTOCOL' });
  await settled();
  t.equal(memory.takenBytes, 0);
});

t.test('a payload that is too long to be skipped ends it, one that is not is skipped', async (t) => {
  const long = transmit(new ScriptedDevice(content));
  long.client.send(encodeRequest(1, Command.WRITE, 0, 100 * 1024 * 1024));
  await t.rejects(long.done, { code: 'ERR_NBD_PROTOCOL' });
  const short = transmit(missing({ readOnly: true }));
  short.client.send(encodeRequest(1, Command.WRITE, 0, 9), Buffer.from('something'), encodeRequest(2, Command.FLUSH, 0, 0));
  await short.client.answered(2);
  t.equal(short.client.answerTo(1).type, ReplyType.ERROR);
  t.equal(short.client.answerTo(2).type, ReplyType.NONE);
});

t.test('a read that fails is answered, counted, and the next is served', async (t) => {
  const device = missing();
  const { client, metrics, memory } = transmit(device);
  client.read(1, 0, 4096);
  await device.waiting(1);
  device.takePending(0).reject(Object.assign(new Error('the origin has gone'), { code: 'ERR_ORIGIN_UNAVAILABLE' }));
  await client.answered(1);
  t.equal(client.answerTo(1).type, ReplyType.ERROR);
  t.equal(client.answerTo(1).data.readUInt32BE(0), 5, 'EIO');
  t.equal(metrics.errors, 1);
  t.match(metrics.lastError, { code: 'ERR_ORIGIN_UNAVAILABLE' });
  device.isHit = () => true;
  client.read(2, 0, 4096);
  await client.answered(2);
  await settled();
  t.equal(memory.takenBytes, 0);
});
