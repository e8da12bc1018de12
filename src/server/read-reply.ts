/**
 * Divides the reply to a READ into chunks of data and holes.
 *
 * Holes are searched in aligned pieces of 64 KiB. Finer pieces would cost more in headers than they
 * save, and an image's chunks are no smaller.
 */
import type { BlockDevice } from '../device/device.js';
import { chunkHeaderBytes, putOffsetData, putOffsetHole, type Request } from '../nbd/codec/frame.js';

const pieceBytes = 64 * 1024;

export interface ReplyPiece {
  offset: number;
  lengthBytes: number;
  hole: boolean;
}

/** Divides a range into data and known zeros, in order. Adjacent pieces differ. */
export function piecesOf(device: BlockDevice, offset: number, lengthBytes: number): ReplyPiece[] {
  const pieces: ReplyPiece[] = [];
  const end = offset + lengthBytes;
  for (let at = offset; at < end; ) {
    const next = Math.min(end, (Math.floor(at / pieceBytes) + 1) * pieceBytes);
    const hole = device.isZeroNow(at, next - at);
    const last = pieces.at(-1);
    if (last !== undefined && last.hole === hole) last.lengthBytes += next - at;
    else pieces.push({ offset: at, lengthBytes: next - at, hole });
    at = next;
  }
  return pieces;
}

/**
 * Encodes the whole reply as buffers to send in order.
 *
 * @param data bytes of the request's range; only those of pieces that are not holes are read
 */
export function replyBuffers(request: Request, extended: boolean, pieces: readonly ReplyPiece[], data: Buffer): Buffer[] {
  const buffers: Buffer[] = [];
  pieces.forEach((piece, index) => {
    const done = index === pieces.length - 1;
    const header = Buffer.allocUnsafe(chunkHeaderBytes(extended) + 12);
    if (piece.hole) {
      buffers.push(header.subarray(0, putOffsetHole(header, 0, extended, request, done, piece.offset, piece.lengthBytes)));
      return;
    }
    buffers.push(header.subarray(0, putOffsetData(header, 0, extended, request, done, piece.offset, piece.lengthBytes)));
    const start = piece.offset - request.offset;
    buffers.push(data.subarray(start, start + piece.lengthBytes));
  });
  return buffers;
}
