/**
 * The state of one handshake, and the answer to each option: one method per option.
 *
 * Invariants: an answer is complete, or the connection is dropped. An export that was opened is
 * released unless it becomes the session's. A refused option gets one final reply, and the
 * handshake goes on. An NbdProtocolError of a decoder refuses the option, too (ERR_INVALID),
 * because the next option can still be found.
 *
 * Source: doc/proto.md, "Option types"; branch extension-ext-header for EXTENDED_HEADERS.
 */
import { Slice } from '../../base/slice.js';
import { Info, MAX_PAYLOAD_BYTES, Option, OptionReply, type ReplyMode, TransmissionFlag } from '../codec/constant.js';
import { NbdDisconnectedError, NbdProtocolError, NbdRefusedError } from '../codec/error.js';
import { errorText } from '../codec/frame.js';
import {
  decodeExportName,
  decodeInfoRequest,
  encodeErrorText,
  encodeExportNameReply,
  encodeInfoBlockSize,
  encodeInfoDescription,
  encodeInfoExport,
  encodeInfoName,
  encodeOptionReply,
  encodeServer,
  type InfoRequest,
} from '../codec/option.js';
import type { HandshakeBudget } from './budget.js';
import type { ExportFacts, HandshakeDirectory, HandshakeExport, Session } from './contract.js';
import { ExportLookup } from './export-lookup.js';
import type { HandshakeChannel } from './handshake-channel.js';
import { MetaContexts } from './meta-context.js';
import { Refusal, refuseData } from './refusal.js';

/**
 * Outcome of one option: a session, the end of the connection, or `undefined` for the next option.
 */
export type Outcome<E> = Omit<Session<E>, 'leftover'> | 'aborted' | undefined;

export class Negotiation<E> {
  readonly #channel: HandshakeChannel;
  readonly #directory: HandshakeDirectory<E>;
  readonly #budget: HandshakeBudget;
  readonly #lookup: ExportLookup<E>;
  readonly #metaContexts: MetaContexts;
  /** True if the reply to EXPORT_NAME ends with 124 zeros. */
  readonly #padding: boolean;
  #replies: ReplyMode = 'simple';

  constructor(channel: HandshakeChannel, directory: HandshakeDirectory<E>, budget: HandshakeBudget, padding: boolean) {
    this.#channel = channel;
    this.#directory = directory;
    this.#budget = budget;
    this.#lookup = new ExportLookup(directory, budget);
    this.#metaContexts = new MetaContexts(channel, this.#lookup);
    this.#padding = padding;
  }

  /**
   * Answers one option.
   *
   * @throws NbdProtocolError or NbdRefusedError if the connection has to be dropped
   */
  async answer(option: number, data: Buffer): Promise<Outcome<E>> {
    // EXPORT_NAME has no error reply: every error ends the connection.
    if (option === Option.EXPORT_NAME) return this.#exportName(data);
    try {
      return await this.#dispatch(option, data);
    } catch (error) {
      if (error instanceof Refusal) await this.refuse(option, error.type, error.message);
      else if (error instanceof NbdProtocolError) await this.refuse(option, OptionReply.ERR_INVALID, error.message);
      else throw error;
      return undefined;
    }
  }

  /** Sends the final reply of an option that is not granted. */
  async refuse(option: number, type: number, message: string): Promise<void> {
    await this.#channel.put(encodeOptionReply(option, type, encodeErrorText(message)));
    await this.#channel.flush();
  }

  async #dispatch(option: number, data: Buffer): Promise<Outcome<E>> {
    switch (option) {
      case Option.ABORT:
        return this.#abort();
      case Option.LIST:
        return this.#list(data);
      case Option.INFO:
        return this.#info(data);
      case Option.GO:
        return this.#go(data);
      case Option.STRUCTURED_REPLY:
        return this.#structuredReply(data);
      case Option.EXTENDED_HEADERS:
        return this.#extendedHeaders(data);
      case Option.LIST_META_CONTEXT:
        return this.#listMetaContext(data);
      case Option.SET_META_CONTEXT:
        return this.#setMetaContext(data);
      case Option.STARTTLS:
        throw new Refusal(OptionReply.ERR_UNSUP, 'this server does not speak TLS');
      default:
        throw new Refusal(OptionReply.ERR_UNSUP, `option ${option} is not known to this server`);
    }
  }

  /** Acknowledges ABORT. Many clients close without waiting for that, which is no error. */
  async #abort(): Promise<'aborted'> {
    try {
      await this.#acknowledge(Option.ABORT);
    } catch (error) {
      if (!(error instanceof NbdDisconnectedError)) throw error;
    }
    return 'aborted';
  }

  async #exportName(data: Buffer): Promise<Outcome<E>> {
    if (this.#replies === 'extended') throw new NbdProtocolError('client used EXPORT_NAME after EXTENDED_HEADERS, which rules it out');
    const name = decodeExportName(data);
    const opened = await this.#directory.open(name);
    if (opened === undefined)
      throw new NbdRefusedError('ERR_NBD_UNKNOWN_EXPORT', `client asked for export "${name}", which does not exist`);
    return this.#withExport(opened, async () => {
      const transmissionFlags = this.#transmissionFlags(opened);
      await this.#channel.put(encodeExportNameReply({ sizeBytes: opened.sizeBytes, transmissionFlags }, this.#padding));
      await this.#channel.flush();
      return this.#session(opened, name, false);
    });
  }

  async #list(data: Buffer): Promise<undefined> {
    refuseData(data, 'LIST');
    this.#budget.spendOnNames(this.#lookup.count);
    const slice = new Slice();
    for (const entry of this.#directory.list()) {
      // One client that takes all names at once must not delay the others.
      await slice.turn();
      const description = errorText(entry.description).toString();
      await this.#channel.put(encodeOptionReply(Option.LIST, OptionReply.SERVER, encodeServer({ name: entry.name, description })));
    }
    await this.#acknowledge(Option.LIST);
  }

  async #info(data: Buffer): Promise<undefined> {
    const request = decodeInfoRequest(data);
    await this.#describe(Option.INFO, await this.#lookup.lookAt(request.name, data), request);
    await this.#acknowledge(Option.INFO);
  }

  async #go(data: Buffer): Promise<Outcome<E>> {
    const request = decodeInfoRequest(data);
    const opened = await this.#lookup.open(request.name);
    return this.#withExport(opened, async () => {
      await this.#describe(Option.GO, opened, request);
      await this.#acknowledge(Option.GO);
      return this.#session(opened, request.name, request.requests.includes(Info.BLOCK_SIZE));
    });
  }

  async #structuredReply(data: Buffer): Promise<undefined> {
    refuseData(data, 'STRUCTURED_REPLY');
    if (this.#replies === 'extended') throw new Refusal(OptionReply.ERR_EXT_HEADER_REQD, 'extended headers are agreed on and go before');
    if (this.#replies === 'structured') throw new Refusal(OptionReply.ERR_INVALID, 'structured replies are agreed on already');
    this.#replies = 'structured';
    await this.#acknowledge(Option.STRUCTURED_REPLY);
  }

  async #extendedHeaders(data: Buffer): Promise<undefined> {
    refuseData(data, 'EXTENDED_HEADERS');
    if (this.#replies === 'extended') throw new Refusal(OptionReply.ERR_INVALID, 'extended headers are agreed on already');
    this.#replies = 'extended';
    await this.#acknowledge(Option.EXTENDED_HEADERS);
  }

  async #listMetaContext(data: Buffer): Promise<undefined> {
    this.#refuseSimple('LIST_META_CONTEXT');
    await this.#metaContexts.list(data);
    await this.#acknowledge(Option.LIST_META_CONTEXT);
  }

  async #setMetaContext(data: Buffer): Promise<undefined> {
    this.#metaContexts.clear();
    this.#refuseSimple('SET_META_CONTEXT');
    await this.#metaContexts.set(data);
    await this.#acknowledge(Option.SET_META_CONTEXT);
  }

  async #acknowledge(option: number): Promise<void> {
    await this.#channel.put(encodeOptionReply(option, OptionReply.ACK));
    await this.#channel.flush();
  }

  /**
   * Sends the items of INFO and GO before their ACK. EXPORT is always sent, the others on request,
   * and block sizes also when they are tighter than usual.
   */
  async #describe(option: number, opened: ExportFacts, { requests }: InfoRequest): Promise<void> {
    const { blockSize } = opened;
    const tight = blockSize.minimumBytes > 1 || blockSize.maximumBytes < MAX_PAYLOAD_BYTES;
    const items = [encodeInfoExport({ sizeBytes: opened.sizeBytes, transmissionFlags: this.#transmissionFlags(opened) })];
    if (requests.includes(Info.NAME)) items.push(encodeInfoName(opened.name));
    if (requests.includes(Info.DESCRIPTION)) items.push(encodeInfoDescription(errorText(opened.description).toString()));
    if (tight || requests.includes(Info.BLOCK_SIZE)) items.push(encodeInfoBlockSize(blockSize));
    for (const item of items) await this.#channel.put(encodeOptionReply(option, OptionReply.INFO, item));
  }

  /** Releases the export if the work fails. */
  async #withExport<T>(opened: HandshakeExport<E>, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      opened.release();
      throw error;
    }
  }

  #session(opened: HandshakeExport<E>, requestedName: string, blockSizeAgreed: boolean): Omit<Session<E>, 'leftover'> {
    const contexts = this.#metaContexts.selectedFor(requestedName);
    return { export: opened, replies: this.#replies, transmissionFlags: this.#transmissionFlags(opened), contexts, blockSizeAgreed };
  }

  #transmissionFlags(opened: ExportFacts): number {
    let flags = opened.transmissionFlags | TransmissionFlag.HAS_FLAGS;
    if (this.#replies === 'simple') flags &= ~TransmissionFlag.SEND_DF;
    if (this.#replies !== 'extended') flags &= ~TransmissionFlag.BLOCK_STATUS_PAYLOAD;
    return flags;
  }

  #refuseSimple(option: string): void {
    if (this.#replies === 'simple')
      throw new Refusal(OptionReply.ERR_INVALID, `${option} needs structured replies or extended headers first`);
  }
}
