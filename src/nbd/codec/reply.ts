/**
 * Codecs of the replies of the transmission phase, as a client reads them; frame.ts has the other
 * direction.
 *
 * Headers are parsed into an object that may be reused. Payloads are decoded strictly: with any
 * bytes, nothing but NbdProtocolError is thrown. Source: doc/proto.md, "Simple reply message" to
 * "Structured reply types"; branch extension-ext-header.
 */
import {
  EXTENDED_REPLY_BYTES,
  EXTENDED_REPLY_MAGIC,
  MAX_EXTENT_COUNT,
  MAX_STRING_BYTES,
  ReplyFlag,
  type ReplyMode,
  ReplyType,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_BYTES,
  STRUCTURED_REPLY_MAGIC,
} from './constant.js';
import { NbdProtocolError } from './error.js';
import { fromHalves, type StatusExtent } from './frame.js';
import { decodeErrorText } from './option.js';
import { PayloadReader } from './payload.js';

export interface ReplyHeader {
  kind: ReplyMode;
  cookieHigh: number;
  cookieLow: number;
  /** Error number of a simple reply; 0 is success. */
  error: number;
  /** True for the last chunk of a reply; chunks only. */
  done: boolean;
  /** A `ReplyType`, or any other 16-bit number; chunks only. */
  type: number;
  /** Safe integer or `OUT_OF_RANGE`; chunks only. For a simple reply only its request tells. */
  payloadBytes: number;
  /** Offset of the request, or `OUT_OF_RANGE`; extended only. */
  offset: number;
}

export function emptyReplyHeader(): ReplyHeader {
  return { kind: 'simple', cookieHigh: 0, cookieLow: 0, error: 0, done: true, type: 0, payloadBytes: 0, offset: 0 };
}

/**
 * Bytes of the header that begins with `magic`.
 *
 * @throws NbdProtocolError if replies of this kind were not negotiated
 */
export function replyHeaderBytes(magic: number, replies: ReplyMode): number {
  if (magic === SIMPLE_REPLY_MAGIC && replies !== 'extended') return SIMPLE_REPLY_BYTES;
  if (magic === STRUCTURED_REPLY_MAGIC && replies === 'structured') return STRUCTURED_REPLY_BYTES;
  if (magic === EXTENDED_REPLY_MAGIC && replies === 'extended') return EXTENDED_REPLY_BYTES;
  throw new NbdProtocolError(`server sent 0x${magic.toString(16)} at the begin of a reply; ${replies} replies were negotiated`);
}

/** Parses a header that is complete, and whose magic `replyHeaderBytes` took. */
export function parseReplyHeader(source: Buffer, at: number, into: ReplyHeader): void {
  const magic = source.readUInt32BE(at);
  into.cookieHigh = source.readUInt32BE(at + 8);
  into.cookieLow = source.readUInt32BE(at + 12);
  if (magic === SIMPLE_REPLY_MAGIC) {
    into.kind = 'simple';
    into.error = source.readUInt32BE(at + 4);
    into.done = true;
    return;
  }
  into.done = (source.readUInt16BE(at + 4) & ReplyFlag.DONE) !== 0;
  into.type = source.readUInt16BE(at + 6);
  if (magic === STRUCTURED_REPLY_MAGIC) {
    into.kind = 'structured';
    into.payloadBytes = source.readUInt32BE(at + 16);
    return;
  }
  into.kind = 'extended';
  into.offset = fromHalves(source.readUInt32BE(at + 16), source.readUInt32BE(at + 20));
  into.payloadBytes = fromHalves(source.readUInt32BE(at + 24), source.readUInt32BE(at + 28));
}

/** Bound on the payload of a chunk type other than OFFSET_DATA. */
export function maxChunkPayloadBytes(type: number): number {
  switch (type) {
    case ReplyType.NONE:
      return 0;
    case ReplyType.OFFSET_HOLE:
      return 12;
    case ReplyType.BLOCK_STATUS:
      return 4 + 8 * MAX_EXTENT_COUNT;
    case ReplyType.BLOCK_STATUS_EXT:
      return 8 + 16 * MAX_EXTENT_COUNT;
    default:
      // Error chunks; unknown types may have a little more than the known ones.
      return 6 + MAX_STRING_BYTES + 64;
  }
}

/** Decodes the payload of OFFSET_HOLE. */
export function decodeHole(payload: Buffer): { offset: number; lengthBytes: number } {
  const reader = new PayloadReader(payload);
  const hole = { offset: reader.uint64(), lengthBytes: reader.uint32() };
  reader.end();
  return hole;
}

export interface ContextStatus {
  contextId: number;
  /** At least one extent, none of them empty. */
  extents: StatusExtent[];
}

/** Decodes the payload of BLOCK_STATUS, or of BLOCK_STATUS_EXT if `extended`. */
export function decodeBlockStatus(payload: Buffer, extended: boolean): ContextStatus {
  const reader = new PayloadReader(payload);
  const contextId = reader.uint32();
  const announced = extended ? reader.uint32() : undefined;
  const count = reader.leftBytes / (extended ? 16 : 8);
  if (!Number.isInteger(count) || count === 0 || (announced ?? count) !== count) {
    throw new NbdProtocolError(`block status of ${payload.length} bytes for ${announced ?? 'some'} extents`);
  }
  const extents = Array.from({ length: count }, () => ({
    lengthBytes: extended ? reader.uint64() : reader.uint32(),
    flags: extended ? reader.uint64() : reader.uint32(),
  }));
  if (extents.some((extent) => extent.lengthBytes === 0)) throw new NbdProtocolError('block status with an empty extent');
  return { contextId, extents };
}

export interface ReplyError {
  /** Not 0; it may be no `ErrorNumber`. */
  error: number;
  /** Text for people; may be empty. */
  text: string;
  offset: number | undefined;
}

/**
 * Decodes the payload of any chunk type with bit 15. Trailing fields of unknown types are ignored.
 */
export function decodeReplyError(payload: Buffer, type: number): ReplyError {
  const reader = new PayloadReader(payload);
  const error = reader.uint32();
  const text = decodeErrorText(reader.bytes(reader.uint16()));
  const offset = type === ReplyType.ERROR_OFFSET ? reader.uint64() : undefined;
  if (type === ReplyType.ERROR || type === ReplyType.ERROR_OFFSET) reader.end();
  if (error === 0) throw new NbdProtocolError('error chunk without an error');
  return { error, text, offset };
}
