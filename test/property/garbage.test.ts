/**
 * Conversations that go wrong at random: bytes of a valid one changed, dropped, doubled or cut off anywhere. Whatever comes, the server answers or closes, keeps to
 * its bounds, lets go of its exports, and a bystander's reads are right.
 */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { serve } from '../conformance/server-subject.js';
import { ByteStream } from '../conformance/wire/byte-stream.js';
import { Cmd, Option } from '../conformance/wire/constant.js';
import { enter, infoData, metaData, optionBytes, u32 } from '../conformance/wire/handshake.js';
import { Session } from '../conformance/wire/session.js';
import { shortDir } from '../support/short-dir.js';

const folder = shortDir(t);
const { server, subject, close } = await serve(folder);
const path = join(folder, 's');
await server.listen({ kind: 'unix', path });

async function connect() {
  const stream = createConnection({ path, allowHalfOpen: true });
  await once(stream, 'connect');
  return stream;
}

/** All that a busy client says, from its flags to DISC. */
function conversation(replies: 'simple' | 'structured' | 'extended'): Buffer {
  const options = [optionBytes(Option.list), optionBytes(Option.info, infoData(subject.image.name, [1, 2, 3]))];
  if (replies === 'structured') options.push(optionBytes(Option.structuredReply));
  if (replies === 'extended') options.push(optionBytes(Option.extendedHeaders));
  options.push(optionBytes(Option.setMetaContext, metaData(subject.file.name, ['base:allocation', 'x-copse:cached'])));
  options.push(optionBytes(Option.go, infoData(subject.file.name, [3])));
  const nowhere = new Session(new ByteStream(createConnection({ path })), {
    info: { sizeBytes: 0n, flags: 0 },
    replies,
    contexts: new Map(),
  });
  nowhere.bytes.destroy();
  // Writes go to where no other test looks.
  const at = 38 * 1024 * 1024;
  const requests = [
    { type: Cmd.read, offset: 0, lengthBytes: 4096 },
    { type: Cmd.write, offset: at, payload: Buffer.alloc(600, 0x41) },
    { type: Cmd.blockStatus, offset: 0, lengthBytes: 100_000 },
    { type: Cmd.writeZeroes, offset: at, lengthBytes: 4096 },
    { type: Cmd.trim, offset: at, lengthBytes: 4096 },
    { type: Cmd.cache, offset: 0, lengthBytes: 4096 },
    { type: Cmd.flush },
    { type: Cmd.read, offset: 1_000_000, lengthBytes: 200_000 },
    { type: Cmd.disc },
  ].map((request) => nowhere.encode(request).bytes);
  return Buffer.concat([u32(3), ...options, ...requests]);
}

const mutation = fc.record({
  replies: fc.constantFrom('simple' as const, 'structured' as const, 'extended' as const),
  edits: fc.array(
    fc.record({
      /** Share of the conversation's length. */
      where: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      what: fc.constantFrom('flip', 'set', 'drop', 'double'),
      count: fc.integer({ min: 1, max: 40 }),
      value: fc.nat(255),
    }),
    { maxLength: 4 },
  ),
  cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
  pieceBytes: fc.constantFrom(7, 100, 100_000),
  ending: fc.constantFrom('end', 'destroy', 'wait'),
});

t.test('mutated conversations', async (t) => {
  const bystander = await enter(await connect(), subject.image.name);
  let closedCount = 0;
  await fc.assert(
    fc.asyncProperty(mutation, async ({ replies, edits, cut, pieceBytes, ending }) => {
      let bytes = conversation(replies);
      for (const { where, what, count, value } of edits) {
        const at = Math.floor(where * bytes.length);
        const piece = Buffer.from(bytes.subarray(at, at + count));
        if (what === 'flip') piece.writeUInt8(piece.readUInt8(0) ^ (value | 1), 0);
        if (what === 'set') piece.fill(value);
        const pieces = what === 'drop' ? [] : what === 'double' ? [piece, piece] : [piece];
        bytes = Buffer.concat([bytes.subarray(0, at), ...pieces, bytes.subarray(at + count)]);
      }
      if (cut !== undefined) bytes = bytes.subarray(0, Math.floor(cut * bytes.length));
      const stream = new ByteStream(await connect());
      for (let at = 0; at < bytes.length; at += pieceBytes) stream.send(bytes.subarray(at, at + pieceBytes));
      if (ending === 'destroy') {
        stream.destroy();
      } else {
        stream.stream.end();
        await stream.rest('the end, whatever was said');
        closedCount += 1;
      }
      const offset = (bytes.length * 977) % (subject.image.bytes.length - 512);
      const answer = await bystander.read(offset, 512);
      if (answer.error !== 0 || !answer.data.equals(subject.image.bytes.subarray(offset, offset + 512)))
        throw new Error('the bystander was harmed');
    }),
    { numRuns: 600, endOnFailure: true },
  );
  t.ok(closedCount > 0);
  await bystander.disconnect();
  // Throws if any connection has not let go of its export.
  await close();
  t.equal(server.connectionCount, 0);
});
