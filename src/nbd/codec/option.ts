/**
 * Codecs of the handshake's options and their replies: one function each way per payload.
 *
 * Encoders return whole payloads, or whole messages where they say so. Decoders take exactly one
 * payload, and throw NbdProtocolError on anything else. Source: doc/proto.md, "Option types",
 * "Option reply types".
 */
import {
  EXPORT_NAME_PADDING_BYTES,
  Info,
  OPTION_MAGIC,
  OPTION_REPLY_BYTES,
  OPTION_REPLY_MAGIC_HIGH,
  OPTION_REPLY_MAGIC_LOW,
} from './constant.js';
import { NbdProtocolError } from './error.js';
import { errorText } from './frame.js';
import { decodeString, encodeString, PayloadReader, prefixedString, uint16, uint32, uint64 } from './payload.js';

export interface OptionHeader {
  option: number;
  /** Bytes of data that follow. Unchecked: bound the length before you read. */
  lengthBytes: number;
}

/** Encodes a whole option message. */
export function encodeOption(option: number, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([OPTION_MAGIC, uint32(option), uint32(data.length), data]);
}

/** @param header 16 bytes */
export function decodeOptionHeader(header: Buffer): OptionHeader {
  if (header.compare(OPTION_MAGIC, 0, 8, 0, 8) !== 0) throw new NbdProtocolError('option without the magic IHAVEOPT');
  return { option: header.readUInt32BE(8), lengthBytes: header.readUInt32BE(12) };
}

export interface OptionReplyHeader extends OptionHeader {
  /** An `OptionReply`, or any other number. */
  type: number;
}

/** Encodes a whole reply message. */
export function encodeOptionReply(option: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(OPTION_REPLY_BYTES);
  header.writeUInt32BE(OPTION_REPLY_MAGIC_HIGH, 0);
  header.writeUInt32BE(OPTION_REPLY_MAGIC_LOW, 4);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(type, 12);
  header.writeUInt32BE(data.length, 16);
  return Buffer.concat([header, data]);
}

/** @param header 20 bytes */
export function decodeOptionReplyHeader(header: Buffer): OptionReplyHeader {
  if (header.readUInt32BE(0) !== OPTION_REPLY_MAGIC_HIGH || header.readUInt32BE(4) !== OPTION_REPLY_MAGIC_LOW) {
    throw new NbdProtocolError('option reply without its magic');
  }
  return { option: header.readUInt32BE(8), type: header.readUInt32BE(12), lengthBytes: header.readUInt32BE(16) };
}

/** Returns true for the type of an error: bit 31. */
export function isErrorReply(type: number): boolean {
  return type >= 0x80000000;
}

/**
 * Encodes the data of an error reply: a text for people, cut to a length that every client takes.
 */
export function encodeErrorText(text: string): Buffer {
  return errorText(text);
}

/** Decodes a text for people. Faults in it are mended, not refused. */
export function decodeErrorText(data: Buffer): string {
  return data.toString('utf8').replaceAll('\0', ' ');
}

export interface InfoRequest {
  name: string;
  /** `Info` types that are asked for, including unknown ones. */
  requests: number[];
}

/** Encodes the data of INFO and GO. */
export function encodeInfoRequest(request: InfoRequest): Buffer {
  return Buffer.concat([prefixedString(request.name), uint16(request.requests.length), ...request.requests.map(uint16)]);
}

export function decodeInfoRequest(data: Buffer): InfoRequest {
  const reader = new PayloadReader(data);
  const name = reader.prefixedString();
  const count = reader.uint16();
  if (reader.leftBytes !== 2 * count) throw new NbdProtocolError(`${count} information requests in ${reader.leftBytes} bytes`);
  return { name, requests: Array.from({ length: count }, () => reader.uint16()) };
}

export interface MetaContextRequest {
  name: string;
  queries: string[];
}

/** Encodes the data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function encodeMetaContextRequest(request: MetaContextRequest): Buffer {
  return Buffer.concat([prefixedString(request.name), uint32(request.queries.length), ...request.queries.map(prefixedString)]);
}

export function decodeMetaContextRequest(data: Buffer): MetaContextRequest {
  const reader = new PayloadReader(data);
  const name = reader.prefixedString();
  const count = reader.uint32();
  if (count * 4 > reader.leftBytes) throw new NbdProtocolError(`${count} queries in ${reader.leftBytes} bytes`);
  const queries = Array.from({ length: count }, () => reader.prefixedString());
  reader.end();
  return { name, queries };
}

/** Encodes the data of EXPORT_NAME: the bare name. */
export function encodeExportName(name: string): Buffer {
  return encodeString(name);
}

export function decodeExportName(data: Buffer): string {
  return decodeString(data);
}

export interface ExportSize {
  /** Safe integer; `OUT_OF_RANGE` if the server names a larger size. */
  sizeBytes: number;
  /** `TransmissionFlag`s. */
  transmissionFlags: number;
}

/** Encodes the whole answer to EXPORT_NAME, which has no header. */
export function encodeExportNameReply(size: ExportSize, padding: boolean): Buffer {
  return Buffer.concat([uint64(size.sizeBytes), uint16(size.transmissionFlags), Buffer.alloc(padding ? EXPORT_NAME_PADDING_BYTES : 0)]);
}

/** @param data 10 bytes or, with padding, 134 */
export function decodeExportNameReply(data: Buffer): ExportSize {
  const reader = new PayloadReader(data);
  return { sizeBytes: reader.uint64(), transmissionFlags: reader.uint16() };
}

export interface ExportEntry {
  name: string;
  /** Text for people; empty if the server sends none. */
  description: string;
}

/** Encodes REP_SERVER, the answer to LIST. */
export function encodeServer(entry: ExportEntry): Buffer {
  return Buffer.concat([prefixedString(entry.name), encodeString(entry.description)]);
}

export function decodeServer(data: Buffer): ExportEntry {
  const reader = new PayloadReader(data);
  return { name: reader.prefixedString(), description: reader.restString() };
}

export interface BlockSizeInfo {
  minimumBytes: number;
  preferredBytes: number;
  maximumBytes: number;
}

export type InfoReply =
  | ({ type: 'export' } & ExportSize)
  | { type: 'name'; name: string }
  | { type: 'description'; description: string }
  | ({ type: 'blockSize' } & BlockSizeInfo)
  | { type: 'unknown'; info: number };

export function encodeInfoExport(size: ExportSize): Buffer {
  return Buffer.concat([uint16(Info.EXPORT), uint64(size.sizeBytes), uint16(size.transmissionFlags)]);
}

export function encodeInfoName(name: string): Buffer {
  return Buffer.concat([uint16(Info.NAME), encodeString(name)]);
}

export function encodeInfoDescription(description: string): Buffer {
  return Buffer.concat([uint16(Info.DESCRIPTION), encodeString(description)]);
}

export function encodeInfoBlockSize(size: BlockSizeInfo): Buffer {
  return Buffer.concat([uint16(Info.BLOCK_SIZE), uint32(size.minimumBytes), uint32(size.preferredBytes), uint32(size.maximumBytes)]);
}

/** Decodes REP_INFO. The caller ignores unknown information. */
export function decodeInfoReply(data: Buffer): InfoReply {
  const reader = new PayloadReader(data);
  const info = reader.uint16();
  if (info === Info.NAME) return { type: 'name', name: reader.restString() };
  if (info === Info.DESCRIPTION) return { type: 'description', description: reader.restString() };
  if (info === Info.EXPORT) {
    const reply: InfoReply = { type: 'export', sizeBytes: reader.uint64(), transmissionFlags: reader.uint16() };
    reader.end();
    return reply;
  }
  if (info === Info.BLOCK_SIZE) {
    const reply: InfoReply = {
      type: 'blockSize',
      minimumBytes: reader.uint32(),
      preferredBytes: reader.uint32(),
      maximumBytes: reader.uint32(),
    };
    reader.end();
    checkBlockSize(reply);
    return reply;
  }
  return { type: 'unknown', info };
}

/** Applies the rules of "Size constraints". */
function checkBlockSize(size: BlockSizeInfo): void {
  const { minimumBytes, preferredBytes, maximumBytes } = size;
  const isPower = (value: number): boolean => Number.isInteger(Math.log2(value));
  if (!isPower(minimumBytes) || minimumBytes > 65536) throw new NbdProtocolError(`minimum block size of ${minimumBytes} bytes`);
  if (!isPower(preferredBytes) || preferredBytes < Math.max(minimumBytes, 512)) {
    throw new NbdProtocolError(`preferred block size of ${preferredBytes} bytes with a minimum of ${minimumBytes}`);
  }
  if (maximumBytes < preferredBytes) throw new NbdProtocolError(`maximum payload of ${maximumBytes} bytes, less than a preferred block`);
}

export interface MetaContext {
  /** Id that the server chose for this connection only; 0 in lists. */
  contextId: number;
  name: string;
}

/** Encodes REP_META_CONTEXT. */
export function encodeMetaContext(context: MetaContext): Buffer {
  return Buffer.concat([uint32(context.contextId), encodeString(context.name)]);
}

export function decodeMetaContext(data: Buffer): MetaContext {
  const reader = new PayloadReader(data);
  return { contextId: reader.uint32(), name: reader.restString() };
}
