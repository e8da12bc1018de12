/**
 * Encodes the replies of one connection in the mode that was negotiated: simple, structured or
 * extended.
 *
 * Invariant: only this file knows the mode of a reply. Its callers name the outcome of a request.
 *
 * Source: doc/proto.md, "Simple reply message", "Structured reply message"; branch
 * extension-ext-header for extended replies.
 */
import { CommandFlag, type ReplyMode, SIMPLE_REPLY_BYTES } from '../nbd/codec/constant.js';
import {
  chunkHeaderBytes,
  MAX_ERROR_CHUNK_BYTES,
  putError,
  putNone,
  putOffsetData,
  putOffsetHole,
  putSimpleReply,
  type Request,
} from '../nbd/codec/frame.js';
import { type ReplyPiece, replyBuffers } from './read-reply.js';
import { headerRoomBytes } from './request-memory.js';

export class ReplyEncoder {
  /** True if the 32-byte headers were negotiated. */
  readonly extended: boolean;
  /** Bytes of the header in front of the data of a READ. */
  readonly dataAt: number;
  readonly #structured: boolean;

  constructor(mode: ReplyMode) {
    this.extended = mode === 'extended';
    this.#structured = mode !== 'simple';
    this.dataAt = this.#structured ? chunkHeaderBytes(this.extended) + 8 : SIMPLE_REPLY_BYTES;
  }

  /** True if the reply to this READ may consist of several chunks, holes among them. */
  mayFragment(request: Request): boolean {
    return this.#structured && (request.flags & CommandFlag.DF) === 0;
  }

  /** Puts `dataAt` bytes in front of the data of a READ that is answered in one piece. */
  putReadHeader(target: Buffer, at: number, request: Request): void {
    if (this.#structured) putOffsetData(target, at, this.extended, request, true, request.offset, request.lengthBytes);
    else putSimpleReply(target, at, request, 0);
  }

  /**
   * Puts a reply to a READ that is all zeros. Returns the position after it. Needs `mayFragment`.
   */
  putHole(target: Buffer, at: number, request: Request): number {
    return putOffsetHole(target, at, this.extended, request, true, request.offset, request.lengthBytes);
  }

  /**
   * Encodes the reply to a READ in pieces, as buffers in order. Needs `mayFragment`.
   *
   * @param data bytes of the request's range; only those of pieces that are not holes are read
   */
  pieces(request: Request, pieces: readonly ReplyPiece[], data: Buffer): Buffer[] {
    return replyBuffers(request, this.extended, pieces, data);
  }

  /** Encodes success without content. */
  success(request: Request): Buffer {
    const reply = Buffer.allocUnsafe(headerRoomBytes);
    const end = this.#structured ? putNone(reply, 0, this.extended, request) : putSimpleReply(reply, 0, request, 0);
    return reply.subarray(0, end);
  }

  /**
   * Encodes a failure.
   *
   * @param error an `ErrorNumber`, not 0
   * @param text message for people; a simple reply can't carry it
   */
  error(request: Request, error: number, text: string): Buffer {
    const reply = Buffer.allocUnsafe(this.#structured ? MAX_ERROR_CHUNK_BYTES : SIMPLE_REPLY_BYTES);
    const end = this.#structured ? putError(reply, 0, this.extended, request, true, error, text) : putSimpleReply(reply, 0, request, error);
    return reply.subarray(0, end);
  }
}
