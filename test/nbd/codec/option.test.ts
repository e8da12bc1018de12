import fc from 'fast-check';
import t from 'tap';
import { NbdProtocolError } from '../../../src/nbd/codec/error.js';
import * as option from '../../../src/nbd/codec/option.js';

const name = fc.string({ unit: 'grapheme', maxLength: 64 }).filter((text) => !text.includes('\0'));
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });

t.test('payloads come back as they went', async (t) => {
  const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
  fc.assert(
    fc.property(name, fc.array(uint16, { maxLength: 20 }), (text, requests) =>
      same(option.decodeInfoRequest(option.encodeInfoRequest({ name: text, requests })), { name: text, requests }),
    ),
  );
  fc.assert(
    fc.property(name, fc.array(name, { maxLength: 8 }), (text, queries) =>
      same(option.decodeMetaContextRequest(option.encodeMetaContextRequest({ name: text, queries })), { name: text, queries }),
    ),
  );
  fc.assert(
    fc.property(name, name, (text, description) =>
      same(option.decodeServer(option.encodeServer({ name: text, description })), { name: text, description }),
    ),
  );
  fc.assert(
    fc.property(uint32, name, (contextId, text) =>
      same(option.decodeMetaContext(option.encodeMetaContext({ contextId, name: text })), { contextId, name: text }),
    ),
  );
  fc.assert(
    fc.property(fc.maxSafeNat(), uint16, (sizeBytes, transmissionFlags) => {
      const size = { sizeBytes, transmissionFlags };
      return (
        same(option.decodeInfoReply(option.encodeInfoExport(size)), { type: 'export', ...size }) &&
        same(option.decodeExportNameReply(option.encodeExportNameReply(size, true)), size)
      );
    }),
  );
  fc.assert(
    fc.property(name, (text) => {
      const info = option.decodeInfoReply(option.encodeInfoName(text));
      const description = option.decodeInfoReply(option.encodeInfoDescription(text));
      return (
        same(info, { type: 'name', name: text }) &&
        same(description, { type: 'description', description: text }) &&
        option.decodeExportName(option.encodeExportName(text)) === text
      );
    }),
  );
  const blockSize = { minimumBytes: 512, preferredBytes: 4096, maximumBytes: 0xffffffff };
  t.same(option.decodeInfoReply(option.encodeInfoBlockSize(blockSize)), { type: 'blockSize', ...blockSize });
  t.equal(option.encodeExportNameReply({ sizeBytes: 1, transmissionFlags: 1 }, false).length, 10);
  t.equal(option.encodeExportNameReply({ sizeBytes: 1, transmissionFlags: 1 }, true).length, 134);
});

t.test('block sizes that break the rules are refused', async (t) => {
  for (const [minimumBytes, preferredBytes, maximumBytes] of [
    [0, 4096, 4096],
    [3, 4096, 4096],
    [131072, 131072, 131072],
    [1, 256, 4096],
    [4096, 512, 4096],
    [1, 4096, 512],
  ] as const) {
    const data = option.encodeInfoBlockSize({ minimumBytes, preferredBytes, maximumBytes });
    t.throws(() => option.decodeInfoReply(data), { code: 'ERR_NBD_PROTOCOL' }, `${minimumBytes}, ${preferredBytes}, ${maximumBytes}`);
  }
});

t.test('strings are UTF-8, without NUL, of at most 4096 bytes', async (t) => {
  const code = { code: 'ERR_NBD_PROTOCOL' };
  t.equal(option.decodeExportName(Buffer.alloc(4096, 'a')).length, 4096);
  t.throws(() => option.decodeExportName(Buffer.alloc(4097, 'a')), code);
  t.throws(() => option.decodeExportName(Buffer.from([0x61, 0])), code);
  t.throws(() => option.decodeExportName(Buffer.from([0xc3, 0x28])), code);
  t.throws(() => option.decodeExportName(Buffer.from([0xed, 0xa0, 0x80])), code, 'half a surrogate pair');
  t.throws(() => option.encodeExportName('a'.repeat(4097)), code);
});

t.test('random bytes throw nothing but NbdProtocolError', async (t) => {
  const decoders: ((data: Buffer) => unknown)[] = [
    option.decodeExportName,
    option.decodeInfoRequest,
    option.decodeMetaContextRequest,
    option.decodeServer,
    option.decodeInfoReply,
    option.decodeMetaContext,
    option.decodeExportNameReply,
    option.decodeErrorText,
  ];
  // Small numbers where lengths and counts stand, so that decoders are passed and not only failed.
  const bytes = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 8 }), fc.integer({ min: 0, max: 255 })), { maxLength: 60 });
  fc.assert(
    fc.property(bytes, (array) => {
      for (const decode of decoders) {
        try {
          decode(Buffer.from(array));
        } catch (error) {
          if (!(error instanceof NbdProtocolError)) throw error;
        }
      }
    }),
    { numRuns: 2000 },
  );
  t.throws(() => option.decodeOptionHeader(Buffer.alloc(16)), { code: 'ERR_NBD_PROTOCOL' });
  t.throws(() => option.decodeOptionReplyHeader(Buffer.alloc(20)), { code: 'ERR_NBD_PROTOCOL' });
});
