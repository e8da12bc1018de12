import fc from 'fast-check';
import t from 'tap';
import { Command, CommandFlag, ErrorNumber, MAX_ERROR_TEXT_BYTES, ReplyType } from '../../../src/nbd/codec/constant.js';
import { NbdProtocolError } from '../../../src/nbd/codec/error.js';
import {
  blockStatusBytes,
  chunkHeaderBytes,
  emptyRequest,
  errorText,
  MAX_ERROR_CHUNK_BYTES,
  OUT_OF_RANGE,
  parseCompactRequest,
  parseExtendedRequest,
  putBlockStatus,
  putCompactRequest,
  putError,
  putErrorOffset,
  putExtendedRequest,
  putNone,
  putOffsetData,
  putOffsetHole,
  putSimpleReply,
  requestPayloadBytes,
} from '../../../src/nbd/codec/frame.js';
import {
  decodeBlockStatus,
  decodeHole,
  decodeReplyError,
  emptyReplyHeader,
  parseReplyHeader,
  replyHeaderBytes,
} from '../../../src/nbd/codec/reply.js';

const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const safe = fc.maxSafeNat();
const to = fc.record({ cookieHigh: uint32, cookieLow: uint32, offsetHigh: uint32, offsetLow: uint32 });

t.test('a request comes back as it went', async (t) => {
  const common = { flags: uint16, type: uint16, cookieHigh: uint32, cookieLow: uint32, offset: safe };
  fc.assert(
    fc.property(fc.record({ ...common, lengthBytes: uint32 }), fc.nat(64), (request, at) => {
      const target = Buffer.alloc(at + 28);
      const parsed = emptyRequest();
      return (
        putCompactRequest(target, at, request) === at + 28 &&
        parseCompactRequest(target, at, parsed) &&
        Object.entries(request).every(([key, value]) => parsed[key as keyof typeof parsed] === value)
      );
    }),
  );
  fc.assert(
    fc.property(fc.record({ ...common, lengthBytes: safe }), (request) => {
      const target = Buffer.alloc(32);
      const parsed = emptyRequest();
      return (
        putExtendedRequest(target, 0, request) === 32 &&
        parseExtendedRequest(target, 0, parsed) &&
        Object.entries(request).every(([key, value]) => parsed[key as keyof typeof parsed] === value)
      );
    }),
  );
  t.pass();
});

t.test('a request is laid out as the specification says', async (t) => {
  const target = Buffer.alloc(28);
  putCompactRequest(target, 0, { flags: 1, type: 1, cookieHigh: 2, cookieLow: 3, offset: 2 ** 32 + 4, lengthBytes: 5 });
  t.equal(target.toString('hex'), '25609513' + '0001' + '0001' + '0000000200000003' + '0000000100000004' + '00000005');
});

t.test('64-bit values that are no safe integers are out of every range', async (t) => {
  const target = Buffer.alloc(32, 0xff);
  target.writeUInt32BE(0x21e41c71, 0);
  const request = emptyRequest();
  t.ok(parseExtendedRequest(target, 0, request));
  t.equal(request.offset, OUT_OF_RANGE);
  t.equal(request.lengthBytes, OUT_OF_RANGE);
  t.equal(request.offsetHigh, 0xffffffff, 'the halves are kept for the reply');
  t.ok(request.offset + request.lengthBytes > Number.MAX_SAFE_INTEGER);
});

t.test('a wrong magic is told, and leaves the request alone', async (t) => {
  const request = emptyRequest();
  t.notOk(parseCompactRequest(Buffer.alloc(28, 1), 0, request));
  t.notOk(parseExtendedRequest(Buffer.alloc(32, 1), 0, request));
  t.same(request, emptyRequest());
});

t.test('what follows a header', async (t) => {
  const request = { ...emptyRequest(), lengthBytes: 7 };
  t.equal(requestPayloadBytes({ ...request, type: Command.READ }, false), 0);
  t.equal(requestPayloadBytes({ ...request, type: Command.WRITE }, false), 7);
  t.equal(requestPayloadBytes({ ...request, type: Command.READ, flags: CommandFlag.PAYLOAD_LEN }, true), 7);
  t.equal(requestPayloadBytes({ ...request, type: Command.READ, flags: CommandFlag.PAYLOAD_LEN }, false), 0);
});

t.test('replies come back as they went', async (t) => {
  fc.assert(
    fc.property(to, fc.boolean(), fc.boolean(), safe, uint32, (reply, extended, done, offset, size) => {
      const replies = extended ? 'extended' : 'structured';
      const target = Buffer.alloc(256);
      const header = emptyReplyHeader();
      const headerBytes = chunkHeaderBytes(extended);
      const parse = (): boolean => {
        parseReplyHeader(target, 0, header);
        return (
          replyHeaderBytes(target.readUInt32BE(0), replies) === headerBytes &&
          header.cookieHigh === reply.cookieHigh &&
          header.cookieLow === reply.cookieLow &&
          header.kind === replies
        );
      };
      const whole = (end: number): Buffer => target.subarray(headerBytes, end);
      let end = putOffsetHole(target, 0, extended, reply, done, offset, size);
      const hole = decodeHole(whole(end));
      let good = parse() && hole.offset === offset && hole.lengthBytes === size && header.done === done && header.payloadBytes === 12;
      // With its offset, the chunk's length has to fit 32 bits too.
      const dataBytes = Math.min(size, 0xffffffff - 8);
      end = putOffsetData(target, 0, extended, reply, done, offset, dataBytes);
      good &&= parse() && header.payloadBytes === dataBytes + 8 && end === headerBytes + 8 && header.type === ReplyType.OFFSET_DATA;
      end = putErrorOffset(target, 0, extended, reply, done, ErrorNumber.EIO, 'who knows', offset);
      const error = decodeReplyError(whole(end), ReplyType.ERROR_OFFSET);
      good &&= parse() && error.error === 5 && error.text === 'who knows' && error.offset === offset;
      end = putNone(target, 0, extended, reply);
      good &&= parse() && header.done && end === headerBytes && header.payloadBytes === 0;
      const extents = [
        { lengthBytes: 512, flags: 3 },
        { lengthBytes: size, flags: 0 },
      ];
      end = putBlockStatus(target, 0, extended, reply, done, 9, extents);
      good &&= parse() && end === blockStatusBytes(extended, 2) && header.payloadBytes === end - headerBytes;
      if (size > 0) {
        const status = decodeBlockStatus(whole(end), extended);
        good &&= status.contextId === 9 && JSON.stringify(status.extents) === JSON.stringify(extents);
      }
      return good;
    }),
  );
  const simple = Buffer.alloc(16);
  putSimpleReply(simple, 0, { cookieHigh: 1, cookieLow: 2, offsetHigh: 0, offsetLow: 0 }, 22);
  t.equal(simple.toString('hex'), '67446698' + '00000016' + '0000000100000002');
});

t.test('error texts stay below what QEMU takes, cut between characters', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 2000 }), (text) => {
      const bytes = errorText(text);
      return bytes.length <= MAX_ERROR_TEXT_BYTES && !bytes.includes(0) && Buffer.from(bytes.toString()).equals(bytes);
    }),
  );
  const long = '€'.repeat(1000);
  t.equal(errorText(long).length, Math.floor(MAX_ERROR_TEXT_BYTES / 3) * 3);
  const target = Buffer.alloc(MAX_ERROR_CHUNK_BYTES);
  const end = putError(target, 0, true, emptyRequest(), true, 5, long);
  t.ok(end < 990, 'header included');
});

t.test('random payloads throw nothing but NbdProtocolError', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), fc.integer({ min: 0x8000, max: 0x8004 }), (bytes, extended, type) => {
      const payload = Buffer.from(bytes);
      const attempts = [() => decodeHole(payload), () => decodeBlockStatus(payload, extended), () => decodeReplyError(payload, type)];
      for (const attempt of attempts) {
        try {
          attempt();
        } catch (error) {
          if (!(error instanceof NbdProtocolError)) throw error;
        }
      }
    }),
  );
  t.throws(() => replyHeaderBytes(0x67446698, 'extended'), { code: 'ERR_NBD_PROTOCOL' });
  t.throws(() => replyHeaderBytes(0x668e33ef, 'simple'), { code: 'ERR_NBD_PROTOCOL' });
  t.throws(() => decodeReplyError(Buffer.alloc(6), ReplyType.ERROR), { code: 'ERR_NBD_PROTOCOL' });
  t.throws(() => decodeBlockStatus(Buffer.alloc(12), false), { code: 'ERR_NBD_PROTOCOL' }, 'an empty extent');
});
