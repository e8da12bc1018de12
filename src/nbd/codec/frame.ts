/**
 * Codecs of the requests of the transmission phase, and of the replies that a server sends. They do
 * no I/O and keep no state. On the way of a hit they allocate nothing: requests are parsed into an
 * object that may be reused, and replies are put into a buffer. Each `put` function returns the
 * position after its bytes.
 *
 * Invariants: no bigint anywhere. Cookies travel as two unsigned 32-bit halves. A 64-bit value
 * beyond 2^53 - 1 becomes `OUT_OF_RANGE`, which passes no comparison with a size. The halves of the
 * offset are kept, because an extended reply repeats them.
 *
 * Source: doc/proto.md, "Request message" to "Structured reply types"; branch extension-ext-header
 * for the 32-byte headers.
 */
import {
  Command,
  CommandFlag,
  EXTENDED_REPLY_BYTES,
  EXTENDED_REPLY_MAGIC,
  EXTENDED_REQUEST_MAGIC,
  MAX_ERROR_TEXT_BYTES,
  REQUEST_MAGIC,
  ReplyFlag,
  ReplyType,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_BYTES,
  STRUCTURED_REPLY_MAGIC,
} from './constant.js';

/**
 * Stands for a 64-bit value that is no safe integer. `offset + lengthBytes > sizeBytes` holds for
 * it with any size.
 */
export const OUT_OF_RANGE = Number.POSITIVE_INFINITY;

/** Fields of a request that its reply repeats. */
export interface ReplyTo {
  cookieHigh: number;
  cookieLow: number;
  /** Upper half of the offset; extended replies repeat both halves. */
  offsetHigh: number;
  offsetLow: number;
}

export interface Request extends ReplyTo {
  /** `CommandFlag`s, including unknown ones. */
  flags: number;
  /** A `Command`, or any other 16-bit number. */
  type: number;
  /** Safe integer, or `OUT_OF_RANGE`. */
  offset: number;
  /** Safe integer, or `OUT_OF_RANGE` (extended headers only). */
  lengthBytes: number;
}

/** An extent of BLOCK_STATUS. */
export interface StatusExtent {
  lengthBytes: number;
  /** 32 bits; their meaning depends on the context. */
  flags: number;
}

export function emptyRequest(): Request {
  return { flags: 0, type: 0, cookieHigh: 0, cookieLow: 0, offsetHigh: 0, offsetLow: 0, offset: 0, lengthBytes: 0 };
}

/** Returns the value of two unsigned halves, or `OUT_OF_RANGE`. */
export function fromHalves(high: number, low: number): number {
  return high < 0x200000 ? high * 0x100000000 + low : OUT_OF_RANGE;
}

/** Puts a safe integer as 64 bits. Returns the position after it. */
export function putUInt64(target: Buffer, at: number, value: number): number {
  target.writeUInt32BE(Math.floor(value / 0x100000000), at);
  return target.writeUInt32BE(value % 0x100000000, at + 4);
}

function parseCommon(source: Buffer, at: number, into: Request): void {
  into.flags = source.readUInt16BE(at + 4);
  into.type = source.readUInt16BE(at + 6);
  into.cookieHigh = source.readUInt32BE(at + 8);
  into.cookieLow = source.readUInt32BE(at + 12);
  into.offsetHigh = source.readUInt32BE(at + 16);
  into.offsetLow = source.readUInt32BE(at + 20);
  into.offset = fromHalves(into.offsetHigh, into.offsetLow);
}

/**
 * Parses the 28 bytes at `at`, which must be there.
 *
 * @returns false if the magic is wrong: the client sends garbage, and `into` is as it was
 */
export function parseCompactRequest(source: Buffer, at: number, into: Request): boolean {
  if (source.readUInt32BE(at) !== REQUEST_MAGIC) return false;
  parseCommon(source, at, into);
  into.lengthBytes = source.readUInt32BE(at + 24);
  return true;
}

/** Parses the 32 bytes at `at`, which must be there; otherwise as `parseCompactRequest`. */
export function parseExtendedRequest(source: Buffer, at: number, into: Request): boolean {
  if (source.readUInt32BE(at) !== EXTENDED_REQUEST_MAGIC) return false;
  parseCommon(source, at, into);
  into.lengthBytes = fromHalves(source.readUInt32BE(at + 24), source.readUInt32BE(at + 28));
  return true;
}

/**
 * Returns the number of bytes that follow a request's header. A compact WRITE carries its data.
 * With extended headers exactly the commands with PAYLOAD_LEN carry a payload. May be
 * `OUT_OF_RANGE`; the caller bounds it before it skips or stores the bytes.
 */
export function requestPayloadBytes(request: Request, extended: boolean): number {
  const hasPayload = extended ? (request.flags & CommandFlag.PAYLOAD_LEN) !== 0 : request.type === Command.WRITE;
  return hasPayload ? request.lengthBytes : 0;
}

/**
 * Puts 28 bytes, for the client. `offset` and `lengthBytes` are safe integers, the length below
 * 2^32.
 */
export function putCompactRequest(target: Buffer, at: number, request: Omit<Request, 'offsetHigh' | 'offsetLow'>): number {
  target.writeUInt32BE(REQUEST_MAGIC, at);
  return target.writeUInt32BE(request.lengthBytes, putRequestCommon(target, at, request));
}

/** Puts 32 bytes, for the client. */
export function putExtendedRequest(target: Buffer, at: number, request: Omit<Request, 'offsetHigh' | 'offsetLow'>): number {
  target.writeUInt32BE(EXTENDED_REQUEST_MAGIC, at);
  return putUInt64(target, putRequestCommon(target, at, request), request.lengthBytes);
}

function putRequestCommon(target: Buffer, at: number, request: Omit<Request, 'offsetHigh' | 'offsetLow'>): number {
  target.writeUInt16BE(request.flags, at + 4);
  target.writeUInt16BE(request.type, at + 6);
  target.writeUInt32BE(request.cookieHigh, at + 8);
  target.writeUInt32BE(request.cookieLow, at + 12);
  return putUInt64(target, at + 16, request.offset);
}

/**
 * Puts 16 bytes. After a successful READ its data follows.
 *
 * @param error an `ErrorNumber`, 0 for success
 */
export function putSimpleReply(target: Buffer, at: number, to: ReplyTo, error: number): number {
  target.writeUInt32BE(SIMPLE_REPLY_MAGIC, at);
  target.writeUInt32BE(error, at + 4);
  target.writeUInt32BE(to.cookieHigh, at + 8);
  return target.writeUInt32BE(to.cookieLow, at + 12);
}

/** Bytes of a chunk's header: 20 structured, 32 extended. */
export function chunkHeaderBytes(extended: boolean): number {
  return extended ? EXTENDED_REPLY_BYTES : STRUCTURED_REPLY_BYTES;
}

/**
 * Puts the header of any structured or extended chunk.
 *
 * @param done true for the last chunk of the reply
 */
export function putChunkHeader(
  target: Buffer,
  at: number,
  extended: boolean,
  to: ReplyTo,
  done: boolean,
  type: number,
  payloadBytes: number,
): number {
  target.writeUInt32BE(extended ? EXTENDED_REPLY_MAGIC : STRUCTURED_REPLY_MAGIC, at);
  target.writeUInt16BE(done ? ReplyFlag.DONE : 0, at + 4);
  target.writeUInt16BE(type, at + 6);
  target.writeUInt32BE(to.cookieHigh, at + 8);
  target.writeUInt32BE(to.cookieLow, at + 12);
  if (!extended) return target.writeUInt32BE(payloadBytes, at + 16);
  target.writeUInt32BE(to.offsetHigh, at + 16);
  target.writeUInt32BE(to.offsetLow, at + 20);
  return putUInt64(target, at + 24, payloadBytes);
}

/** Puts success without content, always the last chunk of a reply. */
export function putNone(target: Buffer, at: number, extended: boolean, to: ReplyTo): number {
  return putChunkHeader(target, at, extended, to, true, ReplyType.NONE, 0);
}

/** Puts header and offset of a data chunk; its `dataBytes` (1 or more) bytes follow. */
export function putOffsetData(
  target: Buffer,
  at: number,
  extended: boolean,
  to: ReplyTo,
  done: boolean,
  offset: number,
  dataBytes: number,
): number {
  const next = putChunkHeader(target, at, extended, to, done, ReplyType.OFFSET_DATA, 8 + dataBytes);
  return putUInt64(target, next, offset);
}

/**
 * Puts a whole hole chunk.
 *
 * @param holeBytes 1 to 2^32 - 1
 */
export function putOffsetHole(
  target: Buffer,
  at: number,
  extended: boolean,
  to: ReplyTo,
  done: boolean,
  offset: number,
  holeBytes: number,
): number {
  const next = putUInt64(target, putChunkHeader(target, at, extended, to, done, ReplyType.OFFSET_HOLE, 12), offset);
  return target.writeUInt32BE(holeBytes, next);
}

/** Bytes of a whole BLOCK_STATUS (or BLOCK_STATUS_EXT) chunk. */
export function blockStatusBytes(extended: boolean, extentCount: number): number {
  return extended ? EXTENDED_REPLY_BYTES + 8 + 16 * extentCount : STRUCTURED_REPLY_BYTES + 4 + 8 * extentCount;
}

/**
 * Puts a whole BLOCK_STATUS chunk; BLOCK_STATUS_EXT with extended headers.
 *
 * @param extents 1 to 2^20; lengths below 2^32 unless extended
 */
export function putBlockStatus(
  target: Buffer,
  at: number,
  extended: boolean,
  to: ReplyTo,
  done: boolean,
  contextId: number,
  extents: readonly StatusExtent[],
): number {
  const type = extended ? ReplyType.BLOCK_STATUS_EXT : ReplyType.BLOCK_STATUS;
  const payloadBytes = blockStatusBytes(extended, extents.length) - chunkHeaderBytes(extended);
  let next = putChunkHeader(target, at, extended, to, done, type, payloadBytes);
  next = target.writeUInt32BE(contextId, next);
  if (extended) next = target.writeUInt32BE(extents.length, next);
  for (const extent of extents) {
    next = extended ? putUInt64(target, next, extent.lengthBytes) : target.writeUInt32BE(extent.lengthBytes, next);
    next = extended ? putUInt64(target, next, extent.flags) : target.writeUInt32BE(extent.flags, next);
  }
  return next;
}

/** Bound on the bytes of a whole error chunk of either kind, with any text. */
export const MAX_ERROR_CHUNK_BYTES = EXTENDED_REPLY_BYTES + 6 + MAX_ERROR_TEXT_BYTES + 8;

/**
 * Puts a whole error chunk without an offset. The text is cut to `MAX_ERROR_TEXT_BYTES`; NULs
 * become spaces.
 *
 * @param error an `ErrorNumber`, not 0
 */
export function putError(target: Buffer, at: number, extended: boolean, to: ReplyTo, done: boolean, error: number, text: string): number {
  const message = errorText(text);
  const next = putChunkHeader(target, at, extended, to, done, ReplyType.ERROR, 6 + message.length);
  return putErrorBody(target, next, error, message);
}

/** Does the same as `putError`, and names the offset of the failure. */
export function putErrorOffset(
  target: Buffer,
  at: number,
  extended: boolean,
  to: ReplyTo,
  done: boolean,
  error: number,
  text: string,
  offset: number,
): number {
  const message = errorText(text);
  const next = putChunkHeader(target, at, extended, to, done, ReplyType.ERROR_OFFSET, 14 + message.length);
  return putUInt64(target, putErrorBody(target, next, error, message), offset);
}

function putErrorBody(target: Buffer, at: number, error: number, message: Buffer): number {
  target.writeUInt32BE(error, at);
  target.writeUInt16BE(message.length, at + 4);
  return at + 6 + message.copy(target, at + 6);
}

/**
 * Encodes a text for people: without NUL, at most `MAX_ERROR_TEXT_BYTES`, cut between characters.
 */
export function errorText(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('\0', ' '), 'utf8');
  if (bytes.length <= MAX_ERROR_TEXT_BYTES) return bytes;
  let end = MAX_ERROR_TEXT_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
