/** The chunks of a READ's answer cover exactly its range, once, and holes are holes. */
import fc from 'fast-check';
import t from 'tap';
import { Command, ReplyType } from '../../src/nbd/codec/constant.js';
import { emptyRequest } from '../../src/nbd/codec/frame.js';
import { decodeHole, emptyReplyHeader, type ReplyHeader as Header, parseReplyHeader, replyHeaderBytes } from '../../src/nbd/codec/reply.js';
import { piecesOf, replyBuffers } from '../../src/server/read-reply.js';
import { ScriptedDevice } from './scripted-device.js';

const chunkBytes = 64 * 1024;
const chunkCount = 10;
const content = Buffer.alloc(chunkBytes * chunkCount);
for (let at = 0; at < content.length; at += 4) content.writeUInt32BE((at * 2654435761) >>> 0, at);

/** What a client makes of the answer; throws where a byte comes twice, or not at all. */
function assemble(reply: Buffer, extended: boolean, offset: number, lengthBytes: number): { data: Buffer; holeBytes: number } {
  const data = Buffer.alloc(lengthBytes, 0xaa);
  const covered = Buffer.alloc(lengthBytes);
  let holeBytes = 0;
  let at = 0;
  let header: Header = emptyReplyHeader();
  header.done = false;
  while (!header.done) {
    header = emptyReplyHeader();
    parseReplyHeader(reply, at, header);
    at += replyHeaderBytes(reply.readUInt32BE(at), extended ? 'extended' : 'structured');
    const payload = reply.subarray(at, at + header.payloadBytes);
    at += header.payloadBytes;
    if (header.cookieLow !== 42) throw new Error('another cookie');
    const hole = header.type === ReplyType.OFFSET_HOLE ? decodeHole(payload) : undefined;
    const start = (hole?.offset ?? Number(payload.readBigUInt64BE())) - offset;
    const bytes = hole === undefined ? payload.subarray(8) : Buffer.alloc(hole.lengthBytes);
    if (start < 0 || start + bytes.length > lengthBytes || bytes.length === 0) throw new Error('outside of the range');
    if (covered.subarray(start, start + bytes.length).some((count) => count > 0)) throw new Error('sent twice');
    covered.fill(1, start, start + bytes.length);
    bytes.copy(data, start);
    holeBytes += hole?.lengthBytes ?? 0;
  }
  if (at !== reply.length) throw new Error('bytes after the last chunk');
  if (covered.includes(0)) throw new Error('not all was sent');
  return { data, holeBytes };
}

const range = fc
  .tuple(fc.integer({ min: 0, max: content.length - 1 }), fc.integer({ min: 1, max: content.length }))
  .map(([offset, lengthBytes]) => ({ offset, lengthBytes: Math.min(lengthBytes, content.length - offset) }));
const holes = fc.uniqueArray(fc.integer({ min: 0, max: chunkCount - 1 }));

for (const extended of [false, true]) {
  t.test(`${extended ? 'extended' : 'structured'}: any range over any holes`, async () => {
    fc.assert(
      fc.property(range, holes, ({ offset, lengthBytes }, holeChunks) => {
        const zeros = new Set(holeChunks);
        const expected = Buffer.from(content);
        for (const chunk of zeros) expected.fill(0, chunk * chunkBytes, (chunk + 1) * chunkBytes);
        const device = new ScriptedDevice(expected);
        device.isHole = (from, size) => {
          for (let chunk = Math.floor(from / chunkBytes); chunk * chunkBytes < from + size; chunk += 1) if (!zeros.has(chunk)) return false;
          return true;
        };
        const pieces = piecesOf(device, offset, lengthBytes);
        for (const [index, piece] of pieces.entries())
          if (pieces[index + 1]?.hole === piece.hole) throw new Error('neighbours that are alike');
        const request = { ...emptyRequest(), type: Command.READ, offset, lengthBytes, cookieLow: 42 };
        // In the holes the request's buffer holds garbage, which must not travel.
        const data = Buffer.from(expected.subarray(offset, offset + lengthBytes));
        for (const piece of pieces) if (piece.hole) data.fill(0xee, piece.offset - offset, piece.offset - offset + piece.lengthBytes);
        const got = assemble(Buffer.concat(replyBuffers(request, extended, pieces, data)), extended, offset, lengthBytes);
        if (!got.data.equals(expected.subarray(offset, offset + lengthBytes))) throw new Error('other bytes');
        const expectedHoleBytes = pieces.reduce((sum, piece) => sum + (piece.hole ? piece.lengthBytes : 0), 0);
        if (got.holeBytes !== expectedHoleBytes) throw new Error('holes were sent as data');
      }),
    );
  });
}

t.test('a range without holes is one piece', async (t) => {
  t.same(piecesOf(new ScriptedDevice(content), 5, 300_000), [{ offset: 5, lengthBytes: 300_000, hole: false }]);
});
