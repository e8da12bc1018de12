import t from 'tap';
import type { Clock } from '../../../src/base/clock.js';
import { Info, Option, OptionReply, TransmissionFlag } from '../../../src/nbd/codec/constant.js';
import { encodeInfoRequest, encodeMetaContextRequest, encodeOption } from '../../../src/nbd/codec/option.js';
import {
  type HandshakeDirectory,
  type HandshakeExport,
  type HandshakeOptions,
  MAX_HANDSHAKE_BYTES,
  MAX_OPTION_COUNT,
  MAX_OPTION_DATA_BYTES,
  negotiate,
  type Session,
} from '../../../src/nbd/server/handshake.js';
import { type RawPeer, rawPair, u16, u32, u64 } from './raw-peer.js';

class Directory implements HandshakeDirectory<string> {
  /** Exports that are open now; must be what sessions own. */
  openCount = 0;
  exports = [
    { name: 'one', description: 'the first' },
    { name: 'two', description: '' },
  ];

  list(): { name: string; description: string }[] {
    return this.exports;
  }

  exportCount(): number {
    return this.exports.length;
  }

  async open(name: string): Promise<HandshakeExport<string> | undefined> {
    if (name === 'broken') throw new Error('its origin is gone');
    const entry = this.exports.find((candidate) => candidate.name === name);
    if (entry === undefined) return undefined;
    this.openCount += 1;
    return {
      ...entry,
      value: name,
      sizeBytes: 2 ** 40 + 1,
      transmissionFlags: TransmissionFlag.SEND_FLUSH | TransmissionFlag.SEND_DF | TransmissionFlag.BLOCK_STATUS_PAYLOAD,
      blockSize: { minimumBytes: 1, preferredBytes: 4096, maximumBytes: 32 * 2 ** 20 },
      release: () => {
        this.openCount -= 1;
      },
    };
  }
}

interface Talk {
  peer: RawPeer;
  directory: Directory;
  outcome: Promise<Session<string> | undefined>;
}

/** Begins a handshake; with `flags` it is past the greeting. */
async function talk(flags: number | 'unsent' = 3, options: Partial<HandshakeOptions> = {}): Promise<Talk> {
  const { stream, peer } = rawPair();
  const directory = new Directory();
  const outcome = negotiate(stream, directory, { timeoutMs: 60_000, ...options });
  outcome.then(
    () => {},
    () => stream.destroy(),
  );
  const hello = await peer.read(18);
  if (hello.toString('latin1') !== 'NBDMAGICIHAVEOPT\0\x03') throw new Error('no greeting');
  if (flags !== 'unsent') peer.write(u32(flags));
  return { peer, directory, outcome };
}

interface Reply {
  option: number;
  type: number;
  data: Buffer;
}

async function reply(peer: RawPeer): Promise<Reply> {
  const header = await peer.read(20);
  if (header.toString('hex', 0, 8) !== '0003e889045565a9') throw new Error(`no reply: ${header.toString('hex')}`);
  return { option: header.readUInt32BE(8), type: header.readUInt32BE(12), data: await peer.read(header.readUInt32BE(16)) };
}

/** All replies to an option, the final one included. */
async function ask(peer: RawPeer, option: number, data?: Buffer): Promise<Reply[]> {
  peer.write(encodeOption(option, data));
  const replies: Reply[] = [];
  for (;;) {
    const next = await reply(peer);
    replies.push(next);
    if (next.type === OptionReply.ACK || next.type >= 0x80000000) return replies;
  }
}

const types = (replies: Reply[]): number[] => replies.map((one) => one.type);
const info = (name: string, ...requests: number[]): Buffer => encodeInfoRequest({ name, requests });
const query = (name: string, ...queries: string[]): Buffer => encodeMetaContextRequest({ name, queries });
const { ACK, ERR_INVALID, ERR_UNSUP, ERR_UNKNOWN, ERR_TOO_BIG, ERR_EXT_HEADER_REQD, META_CONTEXT } = OptionReply;

t.test('EXPORT_NAME, with and without padding', async (t) => {
  for (const [flags, sizeBytes] of [
    [3, 10],
    [1, 134],
    [0, 134],
  ] as const) {
    const { peer, directory, outcome } = await talk(flags);
    peer.write(encodeOption(Option.EXPORT_NAME, Buffer.from('one')), Buffer.from('next'));
    const answer = await peer.read(sizeBytes);
    t.equal(answer.readBigUInt64BE(), 2n ** 40n + 1n);
    t.equal(answer.readUInt16BE(8), TransmissionFlag.HAS_FLAGS | TransmissionFlag.SEND_FLUSH, 'no DF with simple replies');
    t.ok(answer.subarray(10).every((byte) => byte === 0));
    const session = await outcome;
    t.match(session, { replies: 'simple', export: { value: 'one' }, blockSizeAgreed: false });
    t.equal(session?.leftover.toString(), 'next', 'what was pipelined behind is not lost');
    t.equal(directory.openCount, 1);
  }
});

t.test('EXPORT_NAME has only the end of the connection for an error', async (t) => {
  for (const name of ['none', 'broken', 'a'.repeat(4097), '\0']) {
    const { peer, directory, outcome } = await talk();
    peer.write(encodeOption(Option.EXPORT_NAME, Buffer.from(name)));
    await t.rejects(outcome);
    t.equal(directory.openCount, 0);
  }
  const { peer, outcome } = await talk();
  t.same(types(await ask(peer, Option.EXTENDED_HEADERS)), [ACK]);
  peer.write(encodeOption(Option.EXPORT_NAME, Buffer.from('one')));
  await t.rejects(outcome, { code: 'ERR_NBD_PROTOCOL' }, 'ruled out by extended headers');
});

t.test('GO tells, and enters transmission', async (t) => {
  const { peer, directory, outcome } = await talk();
  const before = peer.pieceCount;
  peer.write(encodeOption(Option.GO, info('one', Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE, 99)), Buffer.from('request'));
  const replies = [await reply(peer), await reply(peer), await reply(peer), await reply(peer), await reply(peer)];
  t.same(
    replies.map((one) => one.data.toString('hex')),
    [
      Buffer.concat([u16(0), u64(2 ** 40 + 1), u16(5)]).toString('hex'),
      Buffer.concat([u16(1), Buffer.from('one')]).toString('hex'),
      Buffer.concat([u16(2), Buffer.from('the first')]).toString('hex'),
      Buffer.concat([u16(3), u32(1), u32(4096), u32(32 * 2 ** 20)]).toString('hex'),
      '',
    ],
  );
  t.equal(peer.pieceCount, before + 1, 'one write for all');
  const session = await outcome;
  t.match(session, { replies: 'simple', blockSizeAgreed: true, contexts: new Map() });
  t.equal(session?.leftover.toString(), 'request');
  t.equal(directory.openCount, 1, 'the session owns the export');
});

t.test('INFO tells and goes on', async (t) => {
  const { peer, directory, outcome } = await talk();
  t.same(types(await ask(peer, Option.INFO, info('two'))), [OptionReply.INFO, ACK], 'EXPORT alone, unless asked for more');
  t.equal(directory.openCount, 0);
  t.same(types(await ask(peer, Option.INFO, info('none'))), [ERR_UNKNOWN]);
  const [broken] = await ask(peer, Option.GO, info('broken'));
  t.equal(broken?.type, ERR_UNKNOWN);
  t.match(broken?.data.toString(), /origin is gone/, 'the client is told why');
  t.same(types(await ask(peer, Option.GO, info('two'))), [OptionReply.INFO, ACK]);
  t.match(await outcome, { export: { value: 'two' } });
});

t.test('INFO and GO with bad data', async (t) => {
  const { peer } = await talk();
  const bad = [
    Buffer.alloc(0),
    u32(0),
    Buffer.concat([u32(1000), u16(0)]),
    Buffer.concat([u32(0xffffffff), u16(0)]),
    Buffer.concat([u32(0), u16(2), u16(1)]),
    Buffer.concat([u32(0), u16(0), u16(1)]),
    Buffer.concat([u32(2), Buffer.from([0xff, 0xfe]), u16(0)]),
    Buffer.concat([u32(1), Buffer.from([0]), u16(0)]),
    Buffer.concat([u32(4097), Buffer.alloc(4097, 'a'), u16(0)]),
  ];
  for (const data of bad) {
    t.same(types(await ask(peer, Option.INFO, data)), [ERR_INVALID]);
    t.same(types(await ask(peer, Option.GO, data)), [ERR_INVALID]);
  }
});

t.test('LIST', async (t) => {
  const { peer, directory } = await talk();
  const replies = await ask(peer, Option.LIST);
  t.same(types(replies), [OptionReply.SERVER, OptionReply.SERVER, ACK]);
  t.equal(replies[0]?.data.toString('hex'), Buffer.concat([u32(3), Buffer.from('onethe first')]).toString('hex'));
  t.same(types(await ask(peer, Option.LIST, Buffer.alloc(1))), [ERR_INVALID]);
  directory.exports = Array.from({ length: 5000 }, (_, index) => ({ name: `export-${index}`, description: 'd'.repeat(50) }));
  t.equal((await ask(peer, Option.LIST)).length, 5001, 'a long list goes through a narrow stream');
});

t.test('ABORT is acknowledged, whatever its data', async (t) => {
  for (const data of [Buffer.alloc(0), Buffer.alloc(5), Buffer.alloc(100_000)]) {
    const { peer, outcome } = await talk();
    t.same(types(await ask(peer, Option.ABORT, data)), [ACK]);
    t.equal(await outcome, undefined);
  }
});

t.test('leaving between options is polite, in the middle it is not', async (t) => {
  const before = await talk('unsent');
  before.peer.end();
  t.equal(await before.outcome, undefined, 'a port that is only probed');
  const between = await talk();
  await ask(between.peer, Option.LIST);
  between.peer.end();
  t.equal(await between.outcome, undefined);
  const whole = Buffer.concat([u32(3), encodeOption(Option.INFO, info('one')), encodeOption(Option.STRUCTURED_REPLY)]);
  const polite = new Set([0, 4, 4 + 16 + 9, whole.length]);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const { peer, directory, outcome } = await talk('unsent');
    peer.write(whole.subarray(0, cut));
    peer.end();
    const code = await outcome.then(
      (session) => session,
      (error: { code: string }) => error.code,
    );
    t.equal(code, polite.has(cut) ? undefined : 'ERR_NBD_PROTOCOL', `cut after ${cut} bytes`);
    t.equal(directory.openCount, 0);
  }
});

t.test('STRUCTURED_REPLY and EXTENDED_HEADERS', async (t) => {
  const { peer, outcome } = await talk();
  t.same(types(await ask(peer, Option.STRUCTURED_REPLY, Buffer.alloc(1))), [ERR_INVALID]);
  t.same(types(await ask(peer, Option.STRUCTURED_REPLY)), [ACK]);
  t.same(types(await ask(peer, Option.STRUCTURED_REPLY)), [ERR_INVALID], 'once is enough');
  t.same(types(await ask(peer, Option.EXTENDED_HEADERS, Buffer.alloc(1))), [ERR_INVALID]);
  t.same(types(await ask(peer, Option.EXTENDED_HEADERS)), [ACK], 'goes before');
  t.same(types(await ask(peer, Option.EXTENDED_HEADERS)), [ERR_INVALID]);
  t.same(types(await ask(peer, Option.STRUCTURED_REPLY)), [ERR_EXT_HEADER_REQD], 'no way back');
  const [export_] = await ask(peer, Option.GO, info('one'));
  const { SEND_FLUSH, SEND_DF, BLOCK_STATUS_PAYLOAD } = TransmissionFlag;
  t.equal(export_?.data.readUInt16BE(10), 1 | SEND_FLUSH | SEND_DF | BLOCK_STATUS_PAYLOAD);
  t.match(await outcome, { replies: 'extended' });

  const structured = await talk();
  await ask(structured.peer, Option.STRUCTURED_REPLY);
  const [info_] = await ask(structured.peer, Option.GO, info('one'));
  t.equal(info_?.data.readUInt16BE(10), 1 | SEND_FLUSH | SEND_DF);
  t.match(await structured.outcome, { replies: 'structured', transmissionFlags: 1 | SEND_FLUSH | SEND_DF });
});

t.test('LIST_META_CONTEXT', async (t) => {
  const { peer } = await talk();
  const list = async (...queries: string[]): Promise<string[]> =>
    (await ask(peer, Option.LIST_META_CONTEXT, query('one', ...queries)))
      .filter((one) => one.type === META_CONTEXT)
      .map((one) => one.data.toString('latin1', 4));
  t.same(types(await ask(peer, Option.LIST_META_CONTEXT, query('one'))), [ERR_INVALID], 'structured replies first');
  await ask(peer, Option.STRUCTURED_REPLY);
  t.same(await list(), ['base:allocation', 'x-copse:cached']);
  t.same(await list('base:'), ['base:allocation']);
  t.same(await list('x-copse:'), ['x-copse:cached']);
  t.same(await list('base:allocation', 'x-copse:', 'base:'), ['base:allocation', 'x-copse:cached']);
  t.same(await list('base:unknown', 'qemu:', 'x-other:'), [], 'unknown ones are ignored');
  t.same(types(await ask(peer, Option.LIST_META_CONTEXT, query('one', 'base'))), [ERR_INVALID], 'no namespace');
  t.same(types(await ask(peer, Option.LIST_META_CONTEXT, query('none'))), [ERR_UNKNOWN]);
  for (const data of [
    Buffer.alloc(3),
    query('one', 'base:').subarray(0, -1),
    Buffer.concat([query('one'), u16(0)]),
    Buffer.concat([u32(0), u32(0xffffffff)]),
  ]) {
    t.same(types(await ask(peer, Option.LIST_META_CONTEXT, data)), [ERR_INVALID]);
    t.same(types(await ask(peer, Option.SET_META_CONTEXT, data)), [ERR_INVALID]);
  }
});

t.test('SET_META_CONTEXT selects for one export, the last time it is sent', async (t) => {
  const after = async (name: string, ...sets: Buffer[]): Promise<ReadonlyMap<string, number> | undefined> => {
    const { peer, outcome } = await talk();
    await ask(peer, Option.STRUCTURED_REPLY);
    for (const set of sets) await ask(peer, Option.SET_META_CONTEXT, set);
    await ask(peer, Option.GO, info(name));
    return (await outcome)?.contexts;
  };
  t.same(
    await after('one', query('one', 'x-copse:cached', 'base:allocation')),
    new Map([
      ['base:allocation', 1],
      ['x-copse:cached', 2],
    ]),
  );
  t.same(await after('one', query('one', 'base:allocation', 'base:allocation', 'qemu:x')), new Map([['base:allocation', 1]]));
  t.same(await after('one', query('one', 'base:', 'x-copse:')), new Map(), 'wildcards select nothing');
  t.same(await after('two', query('one', 'base:allocation')), new Map(), 'another export');
  t.same(await after('one', query('one', 'base:allocation'), query('one')), new Map(), 'replaced by none');
  t.same(await after('one', query('one', 'base:allocation'), Buffer.alloc(1)), new Map(), 'dropped by a failure');
  t.same(await after('one', query('one', 'base:allocation'), query('none', 'base:allocation')), new Map());
  const { peer } = await talk();
  t.same(types(await ask(peer, Option.SET_META_CONTEXT, query('one', 'base:allocation'))), [ERR_INVALID], 'structured replies first');
  await ask(peer, Option.EXTENDED_HEADERS);
  t.same(types(await ask(peer, Option.SET_META_CONTEXT, query('one', 'base:allocation'))), [META_CONTEXT, ACK]);
});

t.test('what is not known or not had', async (t) => {
  const { peer } = await talk();
  t.same(types(await ask(peer, Option.STARTTLS)), [ERR_UNSUP]);
  t.same(types(await ask(peer, Option.PEEK_EXPORT)), [ERR_UNSUP]);
  t.same(types(await ask(peer, 0xffffffff, Buffer.alloc(1000))), [ERR_UNSUP]);
  t.same(types(await ask(peer, Option.LIST)).at(-1), ACK, 'and the handshake goes on');
});

t.test('bounds', async (t) => {
  const big = await talk();
  t.same(types(await ask(big.peer, Option.LIST_META_CONTEXT, Buffer.alloc(MAX_OPTION_DATA_BYTES + 1))), [ERR_TOO_BIG]);
  t.same(types(await ask(big.peer, 77, Buffer.alloc(1_000_000))), [ERR_TOO_BIG]);
  t.same(types(await ask(big.peer, Option.LIST)).at(-1), ACK);
  big.peer.write(Buffer.from('IHAVEOPT'), u32(77), u32(MAX_HANDSHAKE_BYTES));
  await t.rejects(big.outcome, { code: 'ERR_NBD_PROTOCOL' }, 'announced too much');

  const many = await talk();
  for (let count = 0; count <= MAX_OPTION_COUNT; count += 100) {
    many.peer.write(...Array.from({ length: 100 }, () => encodeOption(Option.STARTTLS)));
  }
  await t.rejects(many.outcome, { code: 'ERR_NBD_PROTOCOL' }, 'too many options');
});

t.test('questions about exports that exist are bounded by their number', async (t) => {
  const { peer, directory, outcome } = await talk();
  directory.exports = Array.from({ length: 600 }, (_, index) => ({ name: `export-${index}`, description: '' }));
  const put = async (option: number, count: number, data: (index: number) => Buffer): Promise<number[]> => {
    const last: number[] = [];
    for (let index = 0; index < count; index += 1) last.push(types(await ask(peer, option, data(index))).at(-1) ?? 0);
    return [...new Set(last)];
  };
  t.same(types(await ask(peer, Option.STRUCTURED_REPLY)), [ACK]);
  t.same(await put(Option.INFO, 600, (index) => info(`export-${index}`)), [ACK]);
  t.same(await put(Option.LIST_META_CONTEXT, 600, (index) => query(`export-${index}`)), [ACK]);
  t.same(await put(Option.SET_META_CONTEXT, 600, (index) => query(`export-${index}`)), [ACK], 'each export once by each option');
  t.same(await put(Option.INFO, 900, () => info('none')), [ERR_UNKNOWN], 'what is refused counts against the other bound');
  const flood = Array.from({ length: 1500 }, () => encodeOption(Option.INFO, info('export-0')));
  peer.write(...flood);
  await t.rejects(outcome, { code: 'ERR_NBD_PROTOCOL' }, 'a client that asks the same for ever is ended');
});

t.test('questions about exports bring time, silence does not', async (t) => {
  let nowMs = 0;
  let fire = (): void => {};
  const clock: Clock = {
    nowMs: () => nowMs,
    after: (_delayMs, callback) => {
      fire = callback;
      return () => {};
    },
  };
  const { peer, outcome } = await talk(3, { timeoutMs: 1000, clock });
  for (const at of [900, 990, 1080]) {
    nowMs = at;
    t.same(types(await ask(peer, Option.INFO, info('one'))).at(-1), ACK);
    fire();
  }
  t.same(types(await ask(peer, Option.LIST)).at(-1), ACK, 'goes on past the first deadline');
  nowMs = 1400;
  fire();
  await t.rejects(outcome, { code: 'ERR_DEADLINE' }, 'a client that was silent since is ended');
});

t.test('a list counts by its names', async (t) => {
  const { peer, directory, outcome } = await talk();
  directory.exports = Array.from({ length: 65_000 }, (_, index) => ({ name: `export-${index}`, description: '' }));
  const startMs = performance.now();
  t.equal((await ask(peer, Option.LIST)).length, 65_001);
  t.comment(`a list of 65 000 names took ${Math.round(performance.now() - startMs)} ms`);
  peer.write(...Array.from({ length: MAX_OPTION_COUNT - 50 }, () => encodeOption(Option.STARTTLS)));
  await t.rejects(outcome, { code: 'ERR_NBD_PROTOCOL' }, 'with fewer other options than after a short list');
});

t.test('garbage', async (t) => {
  for (const flags of [4, 0x80000000, 0xffffffff]) {
    await t.rejects((await talk(flags)).outcome, { code: 'ERR_NBD_PROTOCOL' }, 'unknown flags');
  }
  const magic = await talk();
  magic.peer.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
  await t.rejects(magic.outcome, { code: 'ERR_NBD_PROTOCOL' });
  const old = await talk(0);
  old.peer.write(encodeOption(Option.LIST));
  await t.rejects(old.outcome, { code: 'ERR_NBD_PROTOCOL' }, 'options without fixed newstyle');
});

t.test('time and abortion', async (t) => {
  let fire = (): void => {};
  const clock: Clock = {
    nowMs: () => 0,
    after: (delayMs, callback) => {
      t.equal(delayMs, 1234);
      fire = callback;
      return () => {};
    },
  };
  const slow = await talk(3, { timeoutMs: 1234, clock });
  await ask(slow.peer, Option.LIST);
  fire();
  await t.rejects(slow.outcome, { code: 'ERR_DEADLINE' }, 'one deadline for all options');

  const controller = new AbortController();
  const aborted = await talk(3, { signal: controller.signal });
  controller.abort();
  await t.rejects(aborted.outcome, { code: 'ERR_ABORTED' });
});

t.test('an export that opens too late is released', async (t) => {
  const { stream, peer } = rawPair();
  const one = await new Directory().open('one');
  const released = new Promise<void>((resolve) => {
    if (one !== undefined) one.release = resolve;
  });
  const controller = new AbortController();
  let deliver = (): void => {};
  const asked = new Promise<void>((resolve) => {
    const open = (): Promise<HandshakeExport<string> | undefined> => {
      resolve();
      return new Promise((done) => {
        deliver = () => done(one);
      });
    };
    negotiate(stream, { list: () => [], open }, { timeoutMs: 0, signal: controller.signal }).catch((error: { code: string }) => {
      t.equal(error.code, 'ERR_ABORTED');
      deliver();
    });
  });
  peer.write(u32(3), encodeOption(Option.GO, info('one')));
  await asked;
  controller.abort();
  await released;
});

t.test('a connection that breaks', async (t) => {
  const { stream, peer } = rawPair();
  const directory = new Directory();
  const outcome = negotiate(stream, directory, { timeoutMs: 60_000 });
  await peer.read(18);
  stream.destroy(new Error('reset'));
  await t.rejects(outcome, { code: 'ERR_NBD_DISCONNECTED' });
});
