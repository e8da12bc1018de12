/** Calls between nodes: two ends over real sockets, and ends that lie. */
import t, { type Test } from 'tap';
import { CopseError } from '../../../src/base/error.js';
import { parsePeerAddress } from '../../../src/cluster/address.js';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import { Command, ReplyFlag, ReplyType } from '../../../src/nbd/codec/constant.js';
import { emptyRequest, parseExtendedRequest, type Request } from '../../../src/nbd/codec/frame.js';
import { type CallOptions, callPeer, PeerCallError } from '../../../src/peer/client/call.js';
import { type AnswerCall, callMethods } from '../../../src/peer/server/call-limiter.js';
import { callPageBytes, maxAnswerBytes, maxRequestBytes } from '../../../src/peer/wire/call-page.js';
import { ManualClock } from '../../cache/manual-clock.js';
import { pattern } from '../../conformance/content.js';
import { listen } from '../../nbd/client/scripted-server.js';
import { u16, u32, u64 } from '../../nbd/server/raw-peer.js';
import { holds } from '../../support/wait.js';
import { codeOf, TestDisks } from '../disk-server.js';
import { nobody, servePeers } from '../peer-server.js';

async function stand(t: Test, call?: AnswerCall) {
  const contents = new TestDisks('a');
  if (call !== undefined) contents.call = call;
  const served = await servePeers(t, contents);
  const peer = { id: 'a', address: served.address };
  const ask = (method: string, argument?: unknown, options?: CallOptions) =>
    callPeer(peer, method, argument, { connectTimeoutMs: 60_000, ...options });
  const attach = () => NbdClient.connect({ address: parsePeerAddress(served.address), exportName: 'call' });
  return { contents, served, peer, ask, attach };
}

t.test('what a method returns comes back, and what it throws, with its code', async (t) => {
  const { ask, served } = await stand(
    t,
    callMethods({
      echo: async (argument) => argument,
      nothing: async () => undefined,
      fail: async () => {
        throw new CopseError('ERR_NOT_OWNER', 'node c owns it', { cause: new Error('it was handed over') });
      },
      throwText: () => Promise.reject('just text'),
      oddCode: () => Promise.reject(Object.assign(new Error('odd'), { code: 'no code\n' })),
    }),
  );
  const argument = { uuid: 'x', list: [1, 2.5, null, 'ä€𝄞'], nested: { deep: true } };
  t.same(await ask('echo', argument), argument);
  t.equal(await ask('echo', 0), 0);
  t.equal(await ask('nothing'), null);
  t.equal(await ask('echo'), null, 'no argument, and so no result');
  await t.rejects(ask('fail'), { code: 'ERR_NOT_OWNER', peerId: 'a', message: /node c owns it: it was handed over/ });
  t.type(await ask('fail').catch((error: unknown) => error), PeerCallError);
  await t.rejects(ask('throwText'), { code: 'ERR_UNKNOWN', message: /just text/ });
  await t.rejects(ask('oddCode'), { code: 'ERR_UNKNOWN', message: /odd/ });
  await holds(() => served.server.connectionCount === 0);
  const opened = await served.directory.open('call', nobody);
  t.equal(opened?.memory?.takenBytes, 0);
  opened?.release();
});

t.test('a method that there is not, and a node that knows no calls', async (t) => {
  const { ask } = await stand(t, callMethods({ known: async () => 1 }));
  for (const method of ['unknown', 'toString', '__proto__', 'constructor'])
    t.equal(await codeOf(ask(method)), 'ERR_NO_SUCH_METHOD', method);
  const without = await stand(t);
  t.equal(await codeOf(without.ask('known')), 'ERR_NO_SUCH_METHOD');
});

t.test('long questions and answers, as far as there is room', async (t) => {
  const { ask } = await stand(
    t,
    callMethods({
      length: async (argument) => String(argument).length,
      text: async (argument) => 'x'.repeat(Number(argument)),
      circle: async () => {
        const circle: { self?: unknown } = {};
        circle.self = circle;
        return circle;
      },
      big: async () => 1n,
    }),
  );
  const frameLength = JSON.stringify({ method: 'length', argument: '' }).length;
  t.equal(await ask('length', 'x'.repeat(maxRequestBytes - frameLength)), maxRequestBytes - frameLength);
  t.equal(await codeOf(ask('length', 'x'.repeat(maxRequestBytes - frameLength + 1))), 'ERR_CALL_TOO_LARGE');
  t.equal(await codeOf(ask('length', 'ä'.repeat(maxRequestBytes / 2))), 'ERR_CALL_TOO_LARGE', 'bytes count');
  const longest = maxAnswerBytes - JSON.stringify({ result: '' }).length;
  t.equal(String(await ask('text', longest)).length, longest);
  t.equal(await codeOf(ask('text', longest + 1)), 'ERR_ANSWER_TOO_LARGE');
  t.equal(await codeOf(ask('text', 30_000_000)), 'ERR_ANSWER_TOO_LARGE');
  t.equal(await codeOf(ask('circle')), 'ERR_UNKNOWN');
  t.equal(await codeOf(ask('big')), 'ERR_UNKNOWN');
});

/** What an answer says, read as any NBD client could. */
async function readAnswer(t: Test, client: NbdClient): Promise<unknown> {
  const page = Buffer.alloc(callPageBytes);
  await client.read(0, callPageBytes, { data: (piece, offset) => void piece.copy(page, offset), zeroes: () => {} });
  const { lengthBytes } = JSON.parse(page.subarray(0, 4096).toString()) as { lengthBytes: number };
  t.equal(
    page
      .subarray(4096 + lengthBytes)
      .toString()
      .trim(),
    '',
    'spaces follow',
  );
  return JSON.parse(page.subarray(4096, 4096 + lengthBytes).toString());
}

t.test('garbage is answered with an error, and harms nobody', async (t) => {
  let callCount = 0;
  const { attach, ask } = await stand(t, async () => {
    callCount += 1;
    return 'fine';
  });
  const garbage = [
    '',
    'x',
    '{',
    'null',
    '[]',
    '"text"',
    '{}',
    '{"method":1}',
    '{"method":""}',
    JSON.stringify({ method: 'x'.repeat(101) }),
    '['.repeat(maxRequestBytes),
    `${'{"method":'.repeat(6000)}`,
    pattern(5000),
    Buffer.alloc(maxRequestBytes),
    Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
  ];
  for (const [index, bytes] of garbage.entries()) {
    const client = await attach();
    const request = Buffer.from(bytes);
    // A write of nothing is no call.
    if (request.length === 0) await client.write(Buffer.from(' '), 0);
    else await client.write(request, 0);
    t.match(await readAnswer(t, client), { error: { code: 'ERR_CALL' } }, `${index}`);
    client.destroy();
  }
  t.equal(callCount, 0);
  t.equal(await ask('anything'), 'fine');
});

t.test('one call a connection, one write a call, and nothing to read before', async (t) => {
  const { attach } = await stand(t, callMethods({ echo: async (argument) => argument }));
  const call = Buffer.from(JSON.stringify({ method: 'echo', argument: 7, more: 'is passed over' }));
  const client = await attach();
  const nowhere = { data: () => {}, zeroes: () => {} };
  t.equal(await codeOf(client.read(0, 1, nowhere)), 'EINVAL');
  t.equal(await codeOf(client.write(call, 1)), 'EINVAL');
  t.equal(await codeOf(client.write(Buffer.alloc(maxRequestBytes + 1), 0)), 'EINVAL');
  t.equal(await codeOf(client.trim(0, 1)), 'ENOTSUP');
  t.equal(await codeOf(client.writeZeroes(0, 1)), 'ENOTSUP');
  t.equal(await codeOf(client.write(call, 0, { fua: true })), 'none');
  t.equal(await codeOf(client.write(call, 0)), 'EINVAL');
  t.same(await readAnswer(t, client), { result: 7 });
  t.same(await readAnswer(t, client), { result: 7 }, 'again');
  client.destroy();
});

t.test('a node that dies in a call: nobody knows, and nobody waits', async (t) => {
  const signals: (AbortSignal | undefined)[] = [];
  let end = (): void => {};
  const { ask, served } = await stand(t, (_method, _argument, { signal }) => {
    signals.push(signal);
    return new Promise((resolve) => {
      end = () => resolve('too late');
    });
  });
  const asking = ask('slow', {}, { timeoutMs: 0 });
  await holds(() => signals.length === 1);
  const stopped = served.server.stop(0);
  await t.rejects(asking, { code: 'ERR_PEER_GONE', peerId: 'a' });
  await stopped;
  t.equal(signals[0]?.aborted, true);
  end();
  t.equal(await codeOf(ask('slow')), 'ERR_PEER_GONE', 'nobody listens any more');
});

t.test('who asks gives up: at its deadline, or by its signal; the call goes on', async (t) => {
  let doneCount = 0;
  const ends: (() => void)[] = [];
  const { ask, served } = await stand(t, async () => {
    await new Promise<void>((resolve) => ends.push(resolve));
    doneCount += 1;
  });
  const clock = new ManualClock();
  const late = ask('slow', {}, { clock, timeoutMs: 5000 });
  await holds(() => ends.length === 1);
  clock.advance(5000);
  await t.rejects(late, { code: 'ERR_PEER_GONE', message: /no answer in time/ });
  const controller = new AbortController();
  const given = ask('slow', {}, { signal: controller.signal });
  await holds(() => ends.length === 2);
  controller.abort();
  t.equal(await codeOf(given), 'ERR_ABORTED');
  t.equal(await codeOf(ask('slow', {}, { signal: controller.signal })), 'ERR_ABORTED');
  for (const end of ends) end();
  await holds(() => doneCount === 2 && served.server.connectionCount === 0);
  t.equal(clock.timerCount, 0);
});

async function nextRequest(read: (sizeBytes: number) => Promise<Buffer>): Promise<Request | undefined> {
  const header = await read(32);
  const request = emptyRequest();
  return header.length === 32 && parseExtendedRequest(header, 0, request) ? request : undefined;
}

/** Takes the call and answers reads from `page`. */
async function liar(t: Test, page: Buffer, sizeBytes = callPageBytes): Promise<() => Promise<unknown>> {
  const port = await listen(
    t,
    async (raw) => {
      for (;;) {
        const request = await nextRequest((size) => raw.read(size));
        if (request === undefined) return;
        const cookie = [u32(request.cookieHigh), u32(request.cookieLow)];
        const isWrite = request.type === Command.WRITE;
        if (isWrite) await raw.read(request.lengthBytes);
        const bytes = Buffer.alloc(isWrite ? 0 : request.lengthBytes, ' ');
        page.copy(bytes, 0, request.offset);
        const body = isWrite ? bytes : Buffer.concat([u64(request.offset), bytes]);
        const type = isWrite ? ReplyType.NONE : ReplyType.OFFSET_DATA;
        raw.write(u32(0x6e8a278c), u16(ReplyFlag.DONE), u16(type), ...cookie, u64(request.offset), u64(body.length), body);
      }
    },
    () => sizeBytes,
  );
  return () => callPeer({ id: 'liar', address: `127.0.0.1:${port}` }, 'm', {}, { connectTimeoutMs: 60_000 });
}

function pageOf(header: unknown, answer: string): Buffer {
  const page = Buffer.alloc(4096 + answer.length, ' ');
  page.write(typeof header === 'string' ? header : JSON.stringify(header));
  page.write(answer, 4096);
  return page;
}

t.test('answers that are none are lies', async (t) => {
  const header = { copse: 'call', format: 1 };
  const cases: Record<string, Buffer> = {
    'no header': Buffer.alloc(4096, 0x5a),
    'an empty header': pageOf({}, '{"result":1}'),
    'of another kind': pageOf({ copse: 'node', format: 1, lengthBytes: 12 }, '{"result":1}'),
    'without length': pageOf(header, '{"result":1}'),
    'of length 0': pageOf({ ...header, lengthBytes: 0 }, ''),
    'of a negative length': pageOf({ ...header, lengthBytes: -1 }, ''),
    'of a broken length': pageOf({ ...header, lengthBytes: 1.5 }, '{"result":1}'),
    'too long': pageOf({ ...header, lengthBytes: maxAnswerBytes + 1 }, '{"result":1}'),
    'of a length that nobody has': pageOf({ ...header, lengthBytes: 2 ** 52 }, '{"result":1}'),
    'cut off': pageOf({ ...header, lengthBytes: 5 }, '{"result":1}'),
    'neither result nor error': pageOf({ ...header, lengthBytes: 2 }, '{}'),
    'no object': pageOf({ ...header, lengthBytes: 4 }, 'null'),
    'an error without a code': pageOf({ ...header, lengthBytes: 25 }, '{"error":{"message":"x"}}'),
    'an error with a strange code': pageOf({ ...header, lengthBytes: 37 }, '{"error":{"code":"a b","message":""}}'),
  };
  for (const [name, page] of Object.entries(cases)) t.equal(await codeOf((await liar(t, page))()), 'ERR_PEER_LIED', name);
  t.equal(await (await liar(t, pageOf({ ...header, lengthBytes: 12 }, '{"result":1}')))(), 1, 'this one is right');
  const small = await liar(t, pageOf({ ...header, lengthBytes: 12 }, '{"result":1}'), 2 ** 20);
  t.equal(await codeOf(small()), 'ERR_PEER_LIED', 'of another size');
});

t.test('an address that is none', async (t) => {
  t.equal(await codeOf(callPeer({ id: 'x', address: 'nowhere' }, 'm', {})), 'ERR_URL');
});
