/** A peer that does not keep to what was asked, written byte by byte: what it says is never taken for the image. */
import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { ReplyFlag, ReplyType } from '../../../src/nbd/codec/constant.js';
import { emptyRequest, parseExtendedRequest, type Request } from '../../../src/nbd/codec/frame.js';
import { BufferSink } from '../../../src/origin/sink.js';
import { NbdPeer } from '../../../src/peer/client/nbd-peer.js';
import { listen } from '../../nbd/client/scripted-server.js';
import { type RawPeer, u16, u32, u64 } from '../../nbd/server/raw-peer.js';
import { holds } from '../../support/wait.js';
import { contentIdOf } from '../node-statement.js';

const sizeBytes = 2 ** 20;
const content = { id: contentIdOf(1), sizeBytes, chunkBytes: 2 ** 16 };

function chunk(request: Request, flags: number, type: number, ...payload: Buffer[]): Buffer {
  const body = Buffer.concat(payload);
  const cookie = [u32(request.cookieHigh), u32(request.cookieLow)];
  return Buffer.concat([u32(0x6e8a278c), u16(flags), u16(type), ...cookie, u64(request.offset), u64(body.length), body]);
}

function data(request: Request, flags: number, offset: number, lengthBytes: number): Buffer {
  return chunk(request, flags, ReplyType.OFFSET_DATA, u64(offset), Buffer.alloc(lengthBytes, 7));
}

async function nextRequest(peer: RawPeer): Promise<Request | undefined> {
  const header = await peer.read(32);
  const request = emptyRequest();
  return header.length === 32 && parseExtendedRequest(header, 0, request) ? request : undefined;
}

/** Answers the first request of every connection with `reply`, and ends the connection on `undefined`. */
async function scripted(t: Test, reply: (request: Request) => Buffer | undefined): Promise<NbdPeer> {
  const answer = async (raw: RawPeer): Promise<void> => {
    const request = await nextRequest(raw);
    const bytes = request === undefined ? undefined : reply(request);
    if (bytes === undefined) raw.stream.destroy();
    else raw.write(bytes);
  };
  const port = await listen(
    t,
    (raw) => void answer(raw),
    () => sizeBytes,
  );
  const peer = new NbdPeer({ id: 'liar', address: `127.0.0.1:${port}`, selfId: 'a', connectTimeoutMs: 60_000 });
  t.after(() => peer.destroy('the test is over'));
  return peer;
}

async function codeOf(request: Promise<unknown>): Promise<unknown> {
  try {
    await request;
    return 'none';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

const { DONE } = ReplyFlag;

t.test('answers that do not fit the request are lies', async (t) => {
  const cases: Record<string, (request: Request) => Buffer> = {
    short: (request) => data(request, DONE, 4096, 4095),
    'with a gap': (request) => Buffer.concat([data(request, 0, 4096, 1000), data(request, DONE, 4096 + 2000, 2096)]),
    long: (request) => data(request, DONE, 4096, 4097),
    'for another place': (request) => data(request, DONE, 0, 4096),
    twice: (request) => Buffer.concat([data(request, 0, 4096, 4096), data(request, DONE, 4096, 4096)]),
    nothing: (request) => chunk(request, DONE, ReplyType.NONE),
    garbage: () => Buffer.alloc(4096, 0x5a),
    'for a request that nobody made': (request) => data({ ...request, cookieLow: request.cookieLow + 1 }, DONE, 4096, 4096),
    'a hole too long': (request) => chunk(request, DONE, ReplyType.OFFSET_HOLE, u64(4096), u32(8192)),
    'a chunk of 2^60 bytes': (request) => {
      const reply = data(request, DONE, 4096, 8);
      reply.writeBigUInt64BE(2n ** 60n, 24);
      return reply;
    },
    'of no known kind': (request) => chunk(request, DONE, 77, Buffer.alloc(10)),
  };
  for (const [name, reply] of Object.entries(cases)) {
    const peer = await scripted(t, reply);
    for (const method of ['readHome', 'readHeld'] as const) {
      const sink = new BufferSink(Buffer.alloc(4096));
      t.equal(await codeOf(peer[method](content, 4096, 4096, sink)), 'ERR_PEER_LIED', `${name}, ${method}`);
    }
  }
});

t.test('an answer in pieces, out of order, is delivered in order', async (t) => {
  const peer = await scripted(t, (request) =>
    Buffer.concat([
      chunk(request, 0, ReplyType.OFFSET_HOLE, u64(4096 + 3000), u32(1096)),
      data(request, 0, 4096 + 1000, 2000),
      data(request, DONE, 4096, 1000),
    ]),
  );
  const sink = new BufferSink(Buffer.alloc(4096, 0xee));
  await peer.readHome(content, 4096, 4096, sink);
  t.ok(sink.target.equals(Buffer.concat([Buffer.alloc(3000, 7), Buffer.alloc(1096)])));
});

t.test('garbage ends its own connection, and no other', async (t) => {
  const others: RawPeer[] = [];
  const port = await listen(
    t,
    (raw) => others.push(raw),
    () => sizeBytes,
  );
  const peer = new NbdPeer({ id: 'liar', address: `127.0.0.1:${port}`, selfId: 'a', connectTimeoutMs: 60_000 });
  t.after(() => peer.destroy('the test is over'));
  const sink = new BufferSink(Buffer.alloc(4096));
  const well = peer.readHome(content, 0, 4096, sink);
  await holds(() => others.length >= 1);
  const bad = peer.readHeld(content, 0, 4096, new BufferSink(Buffer.alloc(4096)));
  const alsoBad = peer.readHeld(content, 4096, 4096, new BufferSink(Buffer.alloc(4096)));
  await holds(() => others.length >= 2);
  others[1]?.write(Buffer.alloc(64, 0xff));
  t.equal(await codeOf(bad), 'ERR_PEER_LIED');
  t.equal(await codeOf(alsoBad), 'ERR_PEER_LIED');
  const [first] = others;
  const request = first === undefined ? undefined : await nextRequest(first);
  if (first === undefined || request === undefined) return t.fail('no request');
  first.write(data(request, DONE, 0, 4096));
  await well;
  return t.equal(sink.filledBytes, 4096);
});

t.test('errors keep their text; a connection that ends in a reply is gone', async (t) => {
  const text = Buffer.from('the origin is on fire');
  const failing = await scripted(t, (request) => chunk(request, DONE, ReplyType.ERROR, u32(5), u16(text.length), text));
  await t.rejects(failing.readHome(content, 0, 4096, new BufferSink(Buffer.alloc(4096))), {
    code: 'ERR_PEER_REFUSED',
    message: /on fire/,
  });
  const without = await scripted(t, (request) => chunk(request, DONE, ReplyType.ERROR, u32(95), u16(0)));
  t.equal(await codeOf(without.readHeld(content, 0, 4096, new BufferSink(Buffer.alloc(4096)))), 'ERR_PEER_ABSENT');
  const refusing = await scripted(t, (request) => chunk(request, DONE, ReplyType.ERROR, u32(95), u16(0)));
  t.equal(await codeOf(refusing.readHome(content, 0, 4096, new BufferSink(Buffer.alloc(4096)))), 'ERR_PEER_REFUSED');
  const ending = await scripted(t, () => undefined);
  t.equal(await codeOf(ending.readHome(content, 0, 4096, new BufferSink(Buffer.alloc(4096)))), 'ERR_PEER_GONE');
});

t.test('a prefix that was delivered stays, a part that follows a gap does not', async (t) => {
  const peer = await scripted(t, (request) =>
    Buffer.concat([
      data(request, 0, 0, 1000),
      data(request, 0, 3000, 1000),
      chunk(request, DONE, ReplyType.ERROR_OFFSET, u32(5), u16(0), u64(1000)),
    ]),
  );
  const sink = new BufferSink(Buffer.alloc(4096));
  t.equal(await codeOf(peer.readHome(content, 0, 4096, sink)), 'ERR_PEER_REFUSED');
  t.equal(sink.filledBytes, 1000);
});

t.test('block status without what was asked for is a lie', async (t) => {
  const peer = await scripted(t, (request) => chunk(request, DONE, ReplyType.NONE));
  t.equal(await codeOf(peer.cachedRuns(content, 0, 4096)), 'ERR_PEER_LIED');
});

t.test('whoever is not there, or never greets, is gone; whoever is no peer, too', async (t) => {
  const sockets = new Set<Socket>();
  const greetings: [string, (socket: Socket) => void][] = [
    ['mute', () => {}],
    ['another protocol', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['leaving at once', (socket) => socket.destroy()],
  ];
  const sink = new BufferSink(Buffer.alloc(1));
  for (const [name, greet] of greetings) {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      greet(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const peer = new NbdPeer({ id: 'x', address: `127.0.0.1:${port}`, selfId: 'a', connectTimeoutMs: name === 'mute' ? 50 : 60_000 });
    const keepAlive = setInterval(() => {}, 1000);
    t.equal(await codeOf(peer.readHome(content, 0, 1, sink)), 'ERR_PEER_GONE', name);
    clearInterval(keepAlive);
    peer.destroy('the test is over');
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    const late = new NbdPeer({ id: 'x', address: `127.0.0.1:${port}`, selfId: 'a' });
    t.equal(await codeOf(late.readHome(content, 0, 1, sink)), 'ERR_PEER_GONE', 'nobody listens any more');
    late.destroy('the test is over');
  }
});

t.test('an address is checked when the peer is made', async (t) => {
  for (const address of ['', 'host', 'host:', 'host:99999', 'a/b:1', '::1:5']) {
    t.throws(() => new NbdPeer({ id: 'x', address, selfId: 'a' }), { code: 'ERR_URL' }, address);
  }
  t.equal(new NbdPeer({ id: 'x', address: '[::1]:5', selfId: 'a' }).address, '[::1]:5');
});
