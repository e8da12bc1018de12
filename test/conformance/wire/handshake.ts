/** The client's side of fixed newstyle negotiation, byte by byte: what a test sends may be wrong on purpose, what it receives is checked. */
import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { ByteStream } from './byte-stream.js';
import { Flag, Info, initMagic, Option, optionMagic, optionReplyMagic, Rep } from './constant.js';
import { type Replies, Session } from './session.js';

export interface OptionReply {
  option: number;
  type: number;
  data: Buffer;
}

export interface ExportInfo {
  sizeBytes: bigint;
  flags: number;
  name?: string;
  description?: string;
  blockSize?: { minimumBytes: number; preferredBytes: number; maximumBytes: number };
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

/** 32 bits of length, then the string. */
export function counted(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u32(bytes.length), bytes]);
}

/** Data of INFO and GO. */
export function infoData(exportName: string, requests: number[] = []): Buffer {
  return Buffer.concat([counted(exportName), u16(requests.length), ...requests.map(u16)]);
}

/** Data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function metaData(exportName: string, queries: (string | Buffer)[]): Buffer {
  return Buffer.concat([counted(exportName), u32(queries.length), ...queries.map(counted)]);
}

/** Header and data of an option; `declaredBytes` lies about the length. */
export function optionBytes(option: number, data: Buffer = Buffer.alloc(0), declaredBytes = data.length, magic = optionMagic): Buffer {
  return Buffer.concat([u64(magic), u32(option), u32(declaredBytes), data]);
}

export class Handshake {
  readonly bytes: ByteStream;
  /** As the server greeted. */
  serverFlags = 0;
  clientFlags = 0;

  constructor(stream: Duplex) {
    this.bytes = new ByteStream(stream);
  }

  /** Connected, greeted and greeted back. */
  static async start(stream: Duplex, clientFlags = 3): Promise<Handshake> {
    const handshake = new Handshake(stream);
    await handshake.greet();
    handshake.hello(clientFlags);
    return handshake;
  }

  async greet(): Promise<void> {
    const greeting = await this.bytes.take(18, 'greeting');
    assert.equal(greeting.readBigUInt64BE(0), initMagic, 'NBDMAGIC');
    assert.equal(greeting.readBigUInt64BE(8), optionMagic, 'IHAVEOPT');
    this.serverFlags = greeting.readUInt16BE(16);
  }

  hello(clientFlags: number): void {
    this.clientFlags = clientFlags;
    this.bytes.send(u32(clientFlags));
  }

  send(option: number, data?: Buffer, declaredBytes?: number): void {
    this.bytes.send(optionBytes(option, data, declaredBytes));
  }

  async reply(option: number): Promise<OptionReply> {
    const header = await this.bytes.take(20, `reply to option ${option}`);
    assert.equal(header.readBigUInt64BE(0), optionReplyMagic, 'magic of an option reply');
    assert.equal(header.readUInt32BE(8), option, 'the reply names the option that it answers');
    const lengthBytes = header.readUInt32BE(16);
    assert.ok(lengthBytes <= 16 * 1024, `an option reply of ${lengthBytes} bytes`);
    return { option, type: header.readUInt32BE(12), data: await this.bytes.take(lengthBytes, `data of the reply to option ${option}`) };
  }

  /** Sends an option and collects its replies up to the final one, which is the last of the list. */
  async ask(option: number, data?: Buffer, declaredBytes?: number): Promise<OptionReply[]> {
    this.send(option, data, declaredBytes);
    return await this.replies(option);
  }

  async replies(option: number): Promise<OptionReply[]> {
    const replies: OptionReply[] = [];
    for (;;) {
      const reply = await this.reply(option);
      replies.push(reply);
      if (reply.type === Rep.ack) assert.equal(reply.data.length, 0, 'NBD_REP_ACK carries no data');
      if (reply.type >= 0x8000_0000) {
        assert.ok(reply.data.length <= 4096, 'the text of an error is a string of at most 4096 bytes');
        assert.ok(isUtf8(reply.data), 'the text of an error is UTF-8');
      }
      if (reply.type === Rep.ack || reply.type >= 0x8000_0000) return replies;
    }
  }

  /** The type of the final reply. */
  async verdict(option: number, data?: Buffer, declaredBytes?: number): Promise<number> {
    return (await this.ask(option, data, declaredBytes)).at(-1)?.type ?? 0;
  }

  /** INFO or GO; `undefined` in `info` when it was refused. */
  async info(option: number, exportName: string, requests: number[] = []): Promise<{ type: number; info: ExportInfo | undefined }> {
    const replies = await this.ask(option, infoData(exportName, requests));
    const type = replies.at(-1)?.type ?? 0;
    return { type, info: type === Rep.ack ? parseInfo(replies) : undefined };
  }

  /** Names by context id, as SET_META_CONTEXT (or LIST_META_CONTEXT, where ids mean nothing) answers. */
  async contexts(
    option: number,
    exportName: string,
    queries: string[],
  ): Promise<{ type: number; contexts: { id: number; name: string }[] }> {
    const replies = await this.ask(option, metaData(exportName, queries));
    const contexts = replies
      .filter(({ type }) => type === Rep.metaContext)
      .map(({ data }) => ({ id: data.readUInt32BE(0), name: data.toString('utf8', 4) }));
    return { type: replies.at(-1)?.type ?? 0, contexts };
  }

  /** After GO or EXPORT_NAME. */
  session(info: ExportInfo, replies: Replies, contexts: Map<number, string> = new Map()): Session {
    return new Session(this.bytes, { info, replies, contexts });
  }
}

export interface EnterOptions {
  replies?: Replies;
  contexts?: string[];
  requests?: number[];
}

/** The usual way into the transmission phase; anything but success fails the test. */
export async function enter(stream: Duplex, exportName: string, options: EnterOptions = {}): Promise<Session> {
  const { replies = 'simple', contexts: queries = [], requests = [Info.blockSize] } = options;
  const handshake = await Handshake.start(stream);
  if (replies !== 'simple') {
    const option = replies === 'structured' ? Option.structuredReply : Option.extendedHeaders;
    assert.equal(await handshake.verdict(option), Rep.ack, `${replies} replies are granted`);
  }
  const contexts = new Map<number, string>();
  if (queries.length > 0) {
    const granted = await handshake.contexts(Option.setMetaContext, exportName, queries);
    assert.equal(granted.type, Rep.ack, 'SET_META_CONTEXT is granted');
    for (const { id, name } of granted.contexts) contexts.set(id, name);
  }
  const { type, info } = await handshake.info(Option.go, exportName, requests);
  assert.equal(type, Rep.ack, `GO for ${exportName} is granted`);
  assert.ok(info);
  return handshake.session(info, replies, contexts);
}

/** Checks each information reply's form, and that NBD_INFO_EXPORT is there, once. */
export function parseInfo(replies: OptionReply[]): ExportInfo {
  let info: ExportInfo | undefined;
  const rest: Partial<ExportInfo> = {};
  const seen = new Set<number>();
  for (const { type, data } of replies.slice(0, -1)) {
    assert.equal(type, Rep.info, 'only NBD_REP_INFO before the final reply');
    const kind = data.readUInt16BE(0);
    assert.ok(!seen.has(kind), `information ${kind} appears once`);
    seen.add(kind);
    if (kind === Info.export) {
      assert.equal(data.length, 12, 'length of NBD_INFO_EXPORT');
      info = { sizeBytes: data.readBigUInt64BE(2), flags: data.readUInt16BE(10) };
      assert.ok(info.flags & Flag.hasFlags, 'NBD_FLAG_HAS_FLAGS is always 1');
    } else if (kind === Info.name) {
      rest.name = data.toString('utf8', 2);
    } else if (kind === Info.description) {
      rest.description = data.toString('utf8', 2);
    } else if (kind === Info.blockSize) {
      assert.equal(data.length, 14, 'length of NBD_INFO_BLOCK_SIZE');
      rest.blockSize = { minimumBytes: data.readUInt32BE(2), preferredBytes: data.readUInt32BE(6), maximumBytes: data.readUInt32BE(10) };
    }
  }
  assert.ok(info, 'NBD_INFO_EXPORT is sent before success');
  return { ...info, ...rest };
}
