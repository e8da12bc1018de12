/**
 * The client's side of the handshake: one method per option, with a fallback where the protocol has
 * one.
 *
 * Source: doc/proto.md, "Newstyle negotiation", "Option types"; branch extension-ext-header for
 * EXTENDED_HEADERS.
 */
import {
  ClientFlag,
  EXPORT_NAME_PADDING_BYTES,
  HandshakeFlag,
  INIT_MAGIC,
  Info,
  MAX_PAYLOAD_BYTES,
  OPTION_MAGIC,
  OPTION_REPLY_BYTES,
  Option,
  OptionReply,
  type ReplyMode,
} from '../codec/constant.js';
import { NbdProtocolError, NbdRefusedError } from '../codec/error.js';
import { OUT_OF_RANGE } from '../codec/frame.js';
import {
  decodeErrorText,
  decodeExportNameReply,
  decodeInfoReply,
  decodeMetaContext,
  decodeOptionReplyHeader,
  decodeServer,
  type ExportEntry,
  encodeExportName,
  encodeInfoRequest,
  encodeMetaContextRequest,
  encodeOption,
  isErrorReply,
} from '../codec/option.js';
import { uint32 } from '../codec/payload.js';
import type { HandshakeChannel } from '../server/handshake-channel.js';
import type { NbdAgreement, NbdExportInfo } from './contract.js';

/** Bound on a reply: two of the longest strings and some fields. */
const MAX_REPLY_BYTES = 16 * 1024;
/** Bound on the items of information about one export. */
const MAX_INFO_COUNT = 64;

const DEFAULT_BLOCK_SIZE = { minimumBytes: 1, preferredBytes: 4096, maximumBytes: MAX_PAYLOAD_BYTES };

interface Refused {
  type: number;
  text: string;
}

export class ClientNegotiation {
  readonly #channel: HandshakeChannel;
  #fixed = false;
  #padding = true;

  constructor(channel: HandshakeChannel) {
    this.#channel = channel;
  }

  /** Exchanges the greeting. Call it first. */
  async greet(): Promise<void> {
    const hello = await this.#channel.readRest(18);
    if (hello.compare(INIT_MAGIC, 0, 8, 0, 8) !== 0) throw new NbdProtocolError('this is no NBD server: it does not begin with NBDMAGIC');
    if (hello.compare(OPTION_MAGIC, 0, 8, 8, 16) !== 0)
      throw new NbdProtocolError('server speaks oldstyle NBD or another protocol; Copse needs newstyle');
    const flags = hello.readUInt16BE(16);
    this.#fixed = (flags & HandshakeFlag.FIXED_NEWSTYLE) !== 0;
    this.#padding = (flags & HandshakeFlag.NO_ZEROES) === 0;
    const answer = (this.#fixed ? ClientFlag.FIXED_NEWSTYLE : 0) | (this.#padding ? 0 : ClientFlag.NO_ZEROES);
    await this.#channel.put(uint32(answer));
  }

  /** Negotiates the best reply mode up to `best` that the server has. */
  async replies(best: ReplyMode): Promise<ReplyMode> {
    if (!this.#fixed || best === 'simple') return 'simple';
    if (best === 'extended' && (await this.#simple(Option.EXTENDED_HEADERS)) === undefined) return 'extended';
    return (await this.#simple(Option.STRUCTURED_REPLY)) === undefined ? 'structured' : 'simple';
  }

  /**
   * Selects contexts. A context that the server does not grant is missing. A server without
   * contexts grants none.
   */
  async contexts(exportName: string, names: readonly string[], replies: ReplyMode): Promise<Map<string, number>> {
    const contexts = new Map<string, number>();
    if (names.length === 0 || replies === 'simple') return contexts;
    const data = encodeMetaContextRequest({ name: exportName, queries: [...names] });
    const refused = await this.#converse(Option.SET_META_CONTEXT, data, names.length, (type, reply) => {
      if (type !== OptionReply.META_CONTEXT) return false;
      const { contextId, name } = decodeMetaContext(reply);
      if (!names.includes(name) || contexts.has(name) || [...contexts.values()].includes(contextId)) {
        throw new NbdProtocolError(`server selected context "${name}" as ${contextId}, unasked or twice`);
      }
      contexts.set(name, contextId);
      return true;
    });
    return refused === undefined ? contexts : new Map();
  }

  /**
   * Enters transmission.
   *
   * @throws NbdRefusedError if the server refuses
   */
  async go(exportName: string, replies: ReplyMode, contexts: ReadonlyMap<string, number>): Promise<NbdAgreement> {
    if (!this.#fixed) return { ...(await this.#exportName(exportName)), replies, contexts };
    const info = await this.#describe(Option.GO, exportName);
    if (!('type' in info)) return { ...info, replies, contexts };
    if (info.type === OptionReply.ERR_UNSUP && replies !== 'extended')
      return { ...(await this.#exportName(exportName)), replies, contexts };
    throw await this.#refusal(`export "${exportName}"`, info);
  }

  /**
   * Asks for information on an export.
   *
   * @throws NbdRefusedError
   */
  async info(exportName: string): Promise<NbdExportInfo> {
    if (!this.#fixed) throw new NbdRefusedError('ERR_NBD_REFUSED', 'server is too old to describe an export without attaching to it');
    const info = await this.#describe(Option.INFO, exportName);
    if ('type' in info) throw await this.#refusal(`information on export "${exportName}"`, info);
    return info;
  }

  /**
   * Lists all exports, at most `maxCount`.
   *
   * @throws NbdRefusedError
   */
  async list(maxCount: number): Promise<ExportEntry[]> {
    if (!this.#fixed) throw new NbdRefusedError('ERR_NBD_REFUSED', 'server is too old to list its exports');
    const entries: ExportEntry[] = [];
    const refused = await this.#converse(Option.LIST, Buffer.alloc(0), maxCount, (type, reply) => {
      if (type !== OptionReply.SERVER) return false;
      entries.push(decodeServer(reply));
      return true;
    });
    if (refused !== undefined) throw await this.#refusal('the list of exports', refused);
    return entries;
  }

  /** Sends ABORT. The server may close without a reply. */
  async abort(): Promise<void> {
    if (!this.#fixed) return;
    await this.#channel.put(encodeOption(Option.ABORT));
    await this.#channel.flush();
  }

  async #describe(option: number, exportName: string): Promise<NbdExportInfo | Refused> {
    const info: NbdExportInfo = { exportName, description: '', sizeBytes: -1, transmissionFlags: 0, blockSize: DEFAULT_BLOCK_SIZE };
    const data = encodeInfoRequest({ name: exportName, requests: [Info.NAME, Info.DESCRIPTION, Info.BLOCK_SIZE] });
    const refused = await this.#converse(option, data, MAX_INFO_COUNT, (type, reply) => {
      if (type !== OptionReply.INFO) return false;
      const item = decodeInfoReply(reply);
      if (item.type === 'name') info.exportName = item.name;
      else if (item.type === 'description') info.description = item.description;
      else if (item.type === 'export') Object.assign(info, { sizeBytes: item.sizeBytes, transmissionFlags: item.transmissionFlags });
      else if (item.type === 'blockSize') {
        info.blockSize = { minimumBytes: item.minimumBytes, preferredBytes: item.preferredBytes, maximumBytes: item.maximumBytes };
      }
      return true;
    });
    if (refused !== undefined) return refused;
    if (info.sizeBytes < 0) throw new NbdProtocolError('server granted the export without its size');
    return checkSize(info);
  }

  async #exportName(exportName: string): Promise<NbdExportInfo> {
    await this.#channel.put(encodeOption(Option.EXPORT_NAME, encodeExportName(exportName)));
    await this.#channel.flush();
    const reply = await this.#channel.read(10 + (this.#padding ? EXPORT_NAME_PADDING_BYTES : 0));
    if (reply === undefined) {
      throw new NbdRefusedError(
        'ERR_NBD_REFUSED',
        `server closed the connection at the request for export "${exportName}": it may not exist`,
      );
    }
    return checkSize({ exportName, description: '', ...decodeExportNameReply(reply), blockSize: DEFAULT_BLOCK_SIZE });
  }

  /** Sends an option without data, which is answered with ACK or an error. */
  #simple(option: number): Promise<Refused | undefined> {
    return this.#converse(option, Buffer.alloc(0), 0, () => false);
  }

  /**
   * Sends an option and reads its replies to the last.
   *
   * @param take gets each reply that is neither ACK nor an error; returns false for a type that
   * does not belong here
   */
  async #converse(
    option: number,
    data: Buffer,
    maxCount: number,
    take: (type: number, reply: Buffer) => boolean,
  ): Promise<Refused | undefined> {
    await this.#channel.put(encodeOption(option, data));
    await this.#channel.flush();
    for (let count = 0; ; count += 1) {
      const header = decodeOptionReplyHeader(await this.#channel.readRest(OPTION_REPLY_BYTES));
      const { type, lengthBytes } = header;
      if (header.option !== option) throw new NbdProtocolError(`server answered option ${header.option} when asked for ${option}`);
      if (lengthBytes > MAX_REPLY_BYTES) throw new NbdProtocolError(`server announced an option reply of ${lengthBytes} bytes`);
      const reply = await this.#channel.readRest(lengthBytes);
      if (isErrorReply(type)) return { type, text: decodeErrorText(reply) };
      if (type === OptionReply.ACK && lengthBytes === 0) return undefined;
      if (count >= maxCount) throw new NbdProtocolError(`server sent more than ${maxCount} replies to option ${option}`);
      if (!take(type, reply)) throw new NbdProtocolError(`server answered option ${option} with a reply of type ${type}`);
    }
  }

  /** Sends ABORT, as a refused client must, and makes the error. */
  async #refusal(what: string, refused: Refused): Promise<NbdRefusedError> {
    const text = refused.text === '' ? `error ${(refused.type - 0x80000000).toString()}` : refused.text;
    await this.abort().catch(() => {});
    if (refused.type === OptionReply.ERR_UNKNOWN)
      return new NbdRefusedError('ERR_NBD_UNKNOWN_EXPORT', `server does not have ${what}: ${text}`);
    if (refused.type === OptionReply.ERR_TLS_REQD) {
      return new NbdRefusedError('ERR_NBD_TLS_REQUIRED', `server offers ${what} over TLS only, which Copse does not support yet: ${text}`);
    }
    return new NbdRefusedError('ERR_NBD_REFUSED', `server refused ${what}: ${text}`);
  }
}

function checkSize<T extends NbdExportInfo>(info: T): T {
  if (info.sizeBytes === OUT_OF_RANGE) throw new NbdProtocolError('export is larger than 2^53 - 1 bytes, the most that Copse can address');
  return info;
}
