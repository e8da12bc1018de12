import { randomBytes } from 'node:crypto';
import t from 'tap';
import { Command, CommandFlag, ReplyType } from '../../../src/nbd/codec/constant.js';
import type { Request } from '../../../src/nbd/codec/frame.js';
import { u16, u32, u64 } from '../server/raw-peer.js';
import { Assembly } from './assembly.js';
import { type Scripted, script } from './scripted-server.js';

const DONE = 1;
const { OFFSET_DATA, OFFSET_HOLE, NONE, ERROR, ERROR_OFFSET, BLOCK_STATUS, BLOCK_STATUS_EXT } = ReplyType;

t.test('a fragmented reply in any order, cut anywhere, among others', async (t) => {
  for (const replies of ['structured', 'extended'] as const) {
    const { client, peer, request, chunk } = await script(t, replies);
    const content = randomBytes(100);
    content.fill(0, 40, 60);
    const first = new Assembly(1000, 100);
    const second = new Assembly(5000, 8);
    const both = Promise.all([client.read(1000, 100, first), client.read(5000, 8, second)]);
    const one = await request();
    const two = await request();
    t.match(one, { type: Command.READ, offset: 1000, lengthBytes: 100 });
    const bytes = Buffer.concat([
      chunk(one, 0, OFFSET_DATA, u64(1060), content.subarray(60)),
      chunk(two, 0, OFFSET_DATA, u64(5004), Buffer.from('5678')),
      chunk(one, 0, OFFSET_HOLE, u64(1040), u32(20)),
      chunk(two, DONE, OFFSET_DATA, u64(5000), Buffer.from('1234')),
      chunk(one, 0, OFFSET_DATA, u64(1000), content.subarray(0, 40)),
      chunk(one, DONE, NONE),
    ]);
    for (let at = 0; at < bytes.length; at += 7) {
      peer.write(bytes.subarray(at, at + 7));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await both;
    t.ok(first.content.equals(content));
    t.equal(first.zeroBytes, 20);
    t.equal(second.content.toString(), '12345678');
  }
});

t.test('what extended requests look like', async (t) => {
  const { client, peer, request, chunk } = await script(t, 'extended');
  const trimmed = client.trim(2 ** 40, 2 ** 45);
  const trim = await request();
  t.match(trim, { type: Command.TRIM, offset: 2 ** 40, lengthBytes: 2 ** 45, flags: 0 }, 'one request, however long');
  const written = client.write(Buffer.from('data'), 7, { fua: true });
  const write = await request();
  t.match(write, { type: Command.WRITE, offset: 7, lengthBytes: 4, flags: CommandFlag.FUA | CommandFlag.PAYLOAD_LEN });
  t.equal((await peer.read(4)).toString(), 'data');
  peer.write(chunk(write, DONE, NONE), chunk(trim, DONE, NONE));
  await Promise.all([trimmed, written]);

  const asked = client.blockStatus(0, 2 ** 42);
  const status = await request();
  peer.write(
    chunk(status, 0, BLOCK_STATUS_EXT, u32(2), u32(1), u64(2 ** 50), u64(1)),
    chunk(status, DONE, BLOCK_STATUS_EXT, u32(1), u32(2), u64(2 ** 41), u64(3), u64(2 ** 41), u64(0)),
  );
  const contexts = await asked;
  t.same(contexts.get('x-copse:cached'), [{ lengthBytes: 2 ** 42, flags: 1 }], 'cut to what was asked');
  t.same(contexts.get('base:allocation'), [
    { lengthBytes: 2 ** 41, flags: 3 },
    { lengthBytes: 2 ** 41, flags: 0 },
  ]);

  const left = client.disconnect();
  t.match(await request(), { type: Command.DISC, offset: 0, lengthBytes: 0 });
  peer.end();
  await left;
  t.match(client.failure, { code: 'ERR_CLOSED' });
});

t.test('long effects are split for compact requests', async (t) => {
  const { client, peer, request, chunk } = await script(t, 'structured');
  const trimmed = client.trim(4096, 2 ** 33);
  let at = 4096;
  while (at < 4096 + 2 ** 33) {
    const part = await request();
    t.equal(part.offset, at);
    at += part.lengthBytes;
    peer.write(chunk(part, DONE, NONE));
  }
  t.equal(at, 4096 + 2 ** 33);
  await trimmed;
});

t.test('errors in chunks', async (t) => {
  for (const replies of ['structured', 'extended'] as const) {
    const { client, peer, request, chunk } = await script(t, replies);
    const sink = new Assembly(0, 100);
    const reading = client.read(0, 100, sink);
    const read = await request();
    peer.write(
      chunk(read, 0, OFFSET_DATA, u64(0), Buffer.alloc(50)),
      chunk(read, 0, ERROR_OFFSET, u32(28), u16(4), Buffer.from('full'), u64(60)),
      chunk(read, DONE, ERROR, u32(5), u16(0)),
    );
    await t.rejects(reading, { code: 'ENOSPC', message: /full/, offset: 60 }, 'the first counts');
    const unknown = client.flush();
    peer.write(chunk(await request(), DONE, 0x8077, u32(4711), u16(1), Buffer.from('x'), Buffer.alloc(9)));
    await t.rejects(unknown, { code: 'EINVAL' }, 'an unknown error type and number');
    const throwing = client.read(0, 1, {
      data() {
        throw new RangeError('sink');
      },
      zeroes() {},
    });
    peer.write(chunk(await request(), DONE, OFFSET_DATA, u64(0), Buffer.alloc(1)));
    await t.rejects(throwing, { message: 'sink' }, "the sink's own");
    t.equal(client.failure, undefined, 'and the connection lives');
    const shutdown = client.flush();
    peer.write(chunk(await request(), DONE, ERROR, u32(108), u16(0)));
    await t.rejects(shutdown, { code: 'ESHUTDOWN' });
    t.match(await request(), { type: Command.DISC }, 'a server that shuts down is left');
  }
});

t.test('a simple reply where one may be', async (t) => {
  const { client, peer, request } = await script(t, 'structured');
  const flushed = client.flush();
  const flush = await request();
  peer.write(u32(0x67446698), u32(0), u32(flush.cookieHigh), u32(flush.cookieLow));
  await flushed;
  const failed = client.flush();
  const again = await request();
  peer.write(u32(0x67446698), u32(28), u32(again.cookieHigh), u32(again.cookieLow));
  await t.rejects(failed, { code: 'ENOSPC' });
});

t.test('a wait that is given up leaves the connection in step', async (t) => {
  const { client, peer, request, chunk } = await script(t, 'structured', 1);
  const controller = new AbortController();
  const sink = new Assembly(0, 4);
  const given = client.read(0, 4, sink, { signal: controller.signal });
  const read = await request();
  const next = client.flush();
  controller.abort();
  await t.rejects(given, { code: 'ERR_ABORTED' });
  peer.write(chunk(read, DONE, OFFSET_DATA, u64(0), Buffer.from('late')));
  peer.write(chunk(await request(), DONE, NONE));
  await next;
  t.equal(sink.dataBytes, 0, 'nothing comes after the rejection');
});

/** What a server must not answer to a READ of 100 bytes at 1000 (the rest are other commands). */
const lies: Record<string, (chunk: Scripted['chunk'], request: Request) => Buffer> = {
  'a magic that is none': () => Buffer.alloc(16, 1),
  'an unknown cookie': (chunk, request) => chunk({ ...request, cookieLow: request.cookieLow + 1000 }, DONE, NONE),
  'a cookie with another upper half': (chunk, request) => chunk({ ...request, cookieHigh: 1 }, DONE, NONE),
  'a gap': (chunk, request) => chunk(request, DONE, OFFSET_DATA, u64(1000), Buffer.alloc(99)),
  'nothing at all': (chunk, request) => chunk(request, DONE, NONE),
  'data before the range': (chunk, request) => chunk(request, DONE, OFFSET_DATA, u64(999), Buffer.alloc(100)),
  'data beyond the range': (chunk, request) => chunk(request, DONE, OFFSET_DATA, u64(1001), Buffer.alloc(100)),
  'data far away': (chunk, request) => chunk(request, DONE, OFFSET_DATA, Buffer.alloc(8, 0xff), Buffer.alloc(100)),
  overlap: (chunk, request) =>
    Buffer.concat([chunk(request, 0, OFFSET_DATA, u64(1000), Buffer.alloc(60)), chunk(request, DONE, OFFSET_HOLE, u64(1050), u32(50))]),
  'data twice': (chunk, request) => {
    const whole = chunk(request, 0, OFFSET_DATA, u64(1000), Buffer.alloc(100));
    return Buffer.concat([whole, whole]);
  },
  'an empty data chunk': (chunk, request) => chunk(request, 0, OFFSET_DATA, u64(1000)),
  'an empty hole': (chunk, request) => chunk(request, 0, OFFSET_HOLE, u64(1000), u32(0)),
  'a hole of a wrong size': (chunk, request) => chunk(request, 0, OFFSET_HOLE, u64(1000)),
  'a hole beyond the range': (chunk, request) => chunk(request, 0, OFFSET_HOLE, u64(1000), u32(0xffffffff)),
  'a payload with NONE': (chunk, request) => chunk(request, DONE, NONE, u32(1)),
  'NONE that is not the last': (chunk, request) => chunk(request, 0, NONE),
  'an unknown chunk': (chunk, request) => chunk(request, DONE, 77),
  'status that nobody asked for': (chunk, request) => chunk(request, DONE, BLOCK_STATUS, u32(1), u32(1), u32(0)),
  'an error that is none': (chunk, request) => chunk(request, DONE, ERROR, u32(0), u16(0)),
  'an error with a text too long': (chunk, request) => chunk(request, DONE, ERROR, u32(5), u16(100)),
  'an endless error': (chunk, request) => chunk(request, DONE, ERROR, u32(5), u16(0), Buffer.alloc(5000)),
  'an error too short': (chunk, request) => chunk(request, DONE, ERROR, u32(5)),
};

t.test('lies end the connection, and everything on it', async (t) => {
  for (const replies of ['structured', 'extended'] as const) {
    for (const [name, lie] of Object.entries(lies)) {
      const { client, peer, request, chunk } = await script(t, replies);
      const reading = client.read(1000, 100, new Assembly(1000, 100));
      const bystander = client.flush();
      peer.write(lie(chunk, await request()));
      const code = { code: 'ERR_NBD_PROTOCOL' };
      await Promise.all([t.rejects(reading, code, `${name}, ${replies}`), t.rejects(bystander, code)]);
      await t.rejects(client.flush(), code);
    }
  }
});

t.test('more lies', async (t) => {
  const code = { code: 'ERR_NBD_PROTOCOL' };
  const status = async (...chunks: (readonly [number, Buffer])[]): Promise<void> => {
    const { client, peer, request, chunk } = await script(t, 'structured');
    const asked = client.blockStatus(0, 1024, { one: true });
    const header = await request();
    for (const [flags, payload] of chunks) peer.write(chunk(header, flags, BLOCK_STATUS, payload));
    await t.rejects(asked, code);
  };
  const extent = (contextId: number, ...lengths: number[]): Buffer =>
    Buffer.concat([u32(contextId), ...lengths.flatMap((length) => [u32(length), u32(0)])]);
  await status([DONE, extent(1, 512)]);
  await status([0, extent(1, 512)], [DONE, extent(1, 512)]);
  await status([DONE, extent(99, 512)]);
  await status([DONE, extent(1, 256, 256)]);
  await status([DONE, extent(1, 2048)]);
  await status([DONE, extent(1, 0)]);
  await status([DONE, extent(1)]);

  const fragmented = await script(t, 'structured');
  const df = fragmented.client.read(0, 4, new Assembly(0, 4), { df: true });
  const read = await fragmented.request();
  t.equal(read.flags, CommandFlag.DF);
  fragmented.peer.write(fragmented.chunk(read, 0, OFFSET_DATA, u64(0), u16(0)), fragmented.chunk(read, DONE, OFFSET_DATA, u64(2), u16(0)));
  await t.rejects(df, code, 'a fragmented DF read');

  const simple = await script(t, 'structured');
  const reading = simple.client.read(0, 4, new Assembly(0, 4));
  const header = await simple.request();
  simple.peer.write(u32(0x67446698), u32(5), u32(header.cookieHigh), u32(header.cookieLow));
  await t.rejects(reading, code, 'a simple reply to a structured read');

  const moved = await script(t, 'extended');
  const asked = moved.client.read(0, 4, new Assembly(0, 4));
  moved.peer.write(moved.chunk({ ...(await moved.request()), offset: 4 }, DONE, ERROR, u32(5), u16(0)));
  await t.rejects(asked, code, 'an extended reply for another offset');

  const scattered = await script(t, 'structured');
  const long = scattered.client.read(0, 20_000, new Assembly(0, 20_000));
  const longHeader = await scattered.request();
  for (let at = 0; at < 20_000; at += 2) scattered.peer.write(scattered.chunk(longHeader, 0, OFFSET_DATA, u64(at), Buffer.alloc(1)));
  await t.rejects(long, code, 'too many fragments');
});

t.test('a connection that ends with requests in flight', async (t) => {
  const { client, peer, request, chunk } = await script(t, 'structured');
  const reading = client.read(0, 100, new Assembly(0, 100));
  peer.write(chunk(await request(), 0, OFFSET_DATA, u64(0), Buffer.alloc(50)));
  peer.end();
  await t.rejects(reading, { code: 'ERR_NBD_DISCONNECTED' });
  await client.closed;
});
