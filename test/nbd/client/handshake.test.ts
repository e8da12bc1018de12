import { createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { NbdClient } from '../../../src/nbd/client/nbd-client.js';
import { Option, OptionReply } from '../../../src/nbd/codec/constant.js';
import { encodeInfoBlockSize, encodeInfoExport, encodeMetaContext, encodeOptionReply } from '../../../src/nbd/codec/option.js';

const hello = Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), Buffer.from([0, 3])]);
const extendedAck = encodeOptionReply(Option.EXTENDED_HEADERS, OptionReply.ACK);
const context = encodeOptionReply(
  Option.SET_META_CONTEXT,
  OptionReply.META_CONTEXT,
  encodeMetaContext({ contextId: 7, name: 'base:allocation' }),
);
const contextAck = encodeOptionReply(Option.SET_META_CONTEXT, OptionReply.ACK);
const size = encodeOptionReply(Option.GO, OptionReply.INFO, encodeInfoExport({ sizeBytes: 4096, transmissionFlags: 1 }));
const blockSize = encodeInfoBlockSize({ minimumBytes: 512, preferredBytes: 4096, maximumBytes: 65536 });
const block = encodeOptionReply(Option.GO, OptionReply.INFO, blockSize);
const goAck = encodeOptionReply(Option.GO, OptionReply.ACK);

/** A server that says `bytes` to whoever comes, and nothing else. */
async function parrot(t: Test, bytes: () => Buffer): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resume();
    socket.end(bytes());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

/** The code of the failure, or `undefined` when the client was let in. */
async function codeOf(port: number): Promise<string | undefined> {
  try {
    const client = await NbdClient.connect({ host: '127.0.0.1', port }, { contexts: ['base:allocation'], timeoutMs: 60_000 });
    client.destroy();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

t.test('a handshake that is cut at any byte', async (t) => {
  const whole = Buffer.concat([hello, extendedAck, context, contextAck, size, block, goAck]);
  let cut = whole.length;
  const port = await parrot(t, () => whole.subarray(0, cut));
  t.equal(await codeOf(port), undefined, 'whole');
  for (cut = 0; cut < whole.length; cut += 1) {
    const code = await codeOf(port);
    // The kernel may tell of a broken pipe before of the end.
    t.ok(code === 'ERR_NBD_PROTOCOL' || code === 'ERR_NBD_DISCONNECTED', `after ${cut} bytes: ${code}`);
  }
});

t.test('handshakes that can not be', async (t) => {
  let bytes = Buffer.alloc(0);
  const port = await parrot(t, () => bytes);
  const info = (data: Buffer): Buffer => encodeOptionReply(Option.GO, OptionReply.INFO, data);
  const start = [hello, extendedAck, context, contextAck];
  const cases: Record<string, Buffer[]> = {
    'no NBD': [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    'an answer to another option': [hello, goAck],
    'a reply too long': [hello, Buffer.concat([extendedAck.subarray(0, 16), Buffer.from([0xff, 0xff, 0xff, 0xff])])],
    'a reply that has no place': [hello, encodeOptionReply(Option.EXTENDED_HEADERS, OptionReply.SERVER, Buffer.alloc(4))],
    'a context that was not asked for': [
      hello,
      extendedAck,
      encodeOptionReply(Option.SET_META_CONTEXT, OptionReply.META_CONTEXT, encodeMetaContext({ contextId: 1, name: 'qemu:x' })),
      contextAck,
    ],
    'a context twice': [hello, extendedAck, context, context, contextAck],
    'no size': [...start, block, goAck],
    'a size of a wrong length': [...start, info(Buffer.alloc(11)), goAck],
    'a size beyond 2^53': [...start, info(Buffer.concat([Buffer.alloc(2), Buffer.alloc(8, 0xff), Buffer.alloc(2)])), goAck],
    'a block size of 3': [...start, size, info(encodeInfoBlockSize({ minimumBytes: 3, preferredBytes: 4096, maximumBytes: 65536 })), goAck],
    'endless information': [...start, ...Array.from({ length: 100 }, () => size), goAck],
  };
  for (const [name, parts] of Object.entries(cases)) {
    bytes = Buffer.concat(parts);
    t.equal(await codeOf(port), 'ERR_NBD_PROTOCOL', name);
  }
});

t.test('refusals have codes', async (t) => {
  let bytes = Buffer.alloc(0);
  const port = await parrot(t, () => bytes);
  const cases = {
    ERR_NBD_UNKNOWN_EXPORT: OptionReply.ERR_UNKNOWN,
    ERR_NBD_TLS_REQUIRED: OptionReply.ERR_TLS_REQD,
    ERR_NBD_REFUSED: OptionReply.ERR_POLICY,
  };
  for (const [code, type] of Object.entries(cases)) {
    bytes = Buffer.concat([hello, extendedAck, context, contextAck, encodeOptionReply(Option.GO, type, Buffer.from('no'))]);
    t.equal(await codeOf(port), code);
  }
});

t.test('random bytes behind the greeting', async (t) => {
  let bytes = Buffer.alloc(0);
  const port = await parrot(t, () => bytes);
  const parts = fc.oneof(
    fc.constantFrom(extendedAck, context, contextAck, size, block, goAck),
    fc.uint8Array({ maxLength: 40 }).map(Buffer.from),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(parts, { maxLength: 8 }), async (array) => {
      bytes = Buffer.concat([hello, ...array]);
      const code = await codeOf(port);
      return code === undefined || code.startsWith('ERR_NBD_');
    }),
    { numRuns: 200 },
  );
  t.pass();
});
