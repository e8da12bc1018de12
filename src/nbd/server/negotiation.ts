/**
 * The state of one handshake, and the answer to each option: one function an option.
 *
 * Invariants: an answer is complete or the connection is dropped; an export that was opened is released unless it becomes the
 * session's. A refusal is thrown as a Refusal and sent as the option's one final reply; a decoder's NbdProtocolError
 * inside an option's bounds is such a refusal too (ERR_INVALID), because the next option can still be found.
 *
 * Source: doc/proto.md, "Option types"; branch extension-ext-header for EXTENDED_HEADERS.
 */
import { errorMessage } from '../../base/error.js';
import { Slice } from '../../base/slice.js';
import {
  type ContextName,
  contextNames,
  Info,
  MAX_PAYLOAD_BYTES,
  OPTION_BYTES,
  Option,
  OptionReply,
  type ReplyMode,
  TransmissionFlag,
} from '../codec/constant.js';
import { NbdDisconnectedError, NbdProtocolError, NbdRefusedError } from '../codec/error.js';
import { errorText } from '../codec/frame.js';
import {
  decodeExportName,
  decodeInfoRequest,
  decodeMetaContextRequest,
  encodeErrorText,
  encodeExportNameReply,
  encodeInfoBlockSize,
  encodeInfoDescription,
  encodeInfoExport,
  encodeInfoName,
  encodeMetaContext,
  encodeOptionReply,
  encodeServer,
  type InfoRequest,
} from '../codec/option.js';
import type { HandshakeBudget } from './budget.js';
import type { ExportFacts, HandshakeDirectory, HandshakeExport, Session } from './contract.js';
import type { HandshakeChannel } from './handshake-channel.js';

/** An option that is answered with an error; the handshake goes on. */
class Refusal extends Error {
  readonly type: number;

  constructor(type: number, message: string) {
    super(message);
    this.type = type;
  }
}

/** What an option leads to: `undefined` for the next option. */
export type Outcome<E> = Omit<Session<E>, 'leftover'> | 'aborted' | undefined;

export class Negotiation<E> {
  readonly #channel: HandshakeChannel;
  readonly #directory: HandshakeDirectory<E>;
  readonly #budget: HandshakeBudget;
  /** Whether EXPORT_NAME is answered with its 124 zeros. */
  readonly #padding: boolean;
  #replies: ReplyMode = 'simple';
  /** Selected last, and for which export: SET_META_CONTEXT binds them to a name. */
  #selected: { name: string; contexts: ReadonlyMap<ContextName, number> } | undefined;

  constructor(channel: HandshakeChannel, directory: HandshakeDirectory<E>, budget: HandshakeBudget, padding: boolean) {
    this.#channel = channel;
    this.#directory = directory;
    this.#budget = budget;
    this.#padding = padding;
  }

  /** Answers one option. @throws NbdProtocolError or NbdRefusedError when the connection is to be dropped */
  async answer(option: number, data: Buffer): Promise<Outcome<E>> {
    // Its only answer to an error is the end of the connection.
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

  /** The final reply of an option that is not granted. */
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

  /** Many clients close without waiting for the reply, which is as polite. */
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
    this.#budget.spendOnNames(this.#exportCount());
    const slice = new Slice();
    for (const entry of this.#directory.list()) {
      // A client that takes all at once does not make the others wait.
      await slice.turn();
      const description = errorText(entry.description).toString();
      await this.#channel.put(encodeOptionReply(Option.LIST, OptionReply.SERVER, encodeServer({ name: entry.name, description })));
    }
    await this.#acknowledge(Option.LIST);
  }

  async #info(data: Buffer): Promise<undefined> {
    const request = decodeInfoRequest(data);
    await this.#describe(Option.INFO, await this.#lookAt(request.name, data), request);
    await this.#acknowledge(Option.INFO);
  }

  async #go(data: Buffer): Promise<Outcome<E>> {
    const request = decodeInfoRequest(data);
    const opened = await this.#open(request.name);
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
    const { name, queries } = decodeMetaContextRequest(data);
    await this.#lookAt(name, data);
    for (const query of queries) refuseWithoutNamespace(query);
    // The empty leaf name asks for all of a namespace; no query at all asks for everything.
    const matches = (context: string): boolean => queries.some((query) => query === context || query === `${namespace(context)}:`);
    for (const context of contextNames) {
      if (queries.length > 0 && !matches(context)) continue;
      const reply = encodeMetaContext({ contextId: 0, name: context });
      await this.#channel.put(encodeOptionReply(Option.LIST_META_CONTEXT, OptionReply.META_CONTEXT, reply));
    }
    await this.#acknowledge(Option.LIST_META_CONTEXT);
  }

  async #setMetaContext(data: Buffer): Promise<undefined> {
    // It replaces what was selected before, and also when it fails.
    this.#selected = undefined;
    this.#refuseSimple('SET_META_CONTEXT');
    const { name, queries } = decodeMetaContextRequest(data);
    await this.#lookAt(name, data);
    for (const query of queries) refuseWithoutNamespace(query);
    const contexts = new Map<ContextName, number>();
    for (const [index, context] of contextNames.entries()) {
      if (!queries.includes(context)) continue;
      contexts.set(context, index + 1);
      const reply = encodeMetaContext({ contextId: index + 1, name: context });
      await this.#channel.put(encodeOptionReply(Option.SET_META_CONTEXT, OptionReply.META_CONTEXT, reply));
    }
    this.#selected = { name, contexts };
    await this.#acknowledge(Option.SET_META_CONTEXT);
  }

  async #acknowledge(option: number): Promise<void> {
    await this.#channel.put(encodeOptionReply(option, OptionReply.ACK));
    await this.#channel.flush();
  }

  /** What INFO and GO tell before their ACK: EXPORT always, the rest when asked for, constraints that are tighter than usual in any case. */
  async #describe(option: number, opened: ExportFacts, { requests }: InfoRequest): Promise<void> {
    const { blockSize } = opened;
    const tight = blockSize.minimumBytes > 1 || blockSize.maximumBytes < MAX_PAYLOAD_BYTES;
    const items = [encodeInfoExport({ sizeBytes: opened.sizeBytes, transmissionFlags: this.#transmissionFlags(opened) })];
    if (requests.includes(Info.NAME)) items.push(encodeInfoName(opened.name));
    if (requests.includes(Info.DESCRIPTION)) items.push(encodeInfoDescription(errorText(opened.description).toString()));
    if (tight || requests.includes(Info.BLOCK_SIZE)) items.push(encodeInfoBlockSize(blockSize));
    for (const item of items) await this.#channel.put(encodeOptionReply(option, OptionReply.INFO, item));
  }

  #open(name: string): Promise<HandshakeExport<E>> {
    return this.#find(name, this.#directory.open(name));
  }

  /** Finds the export that an option of a client that only asks is about. */
  async #lookAt(name: string, data: Buffer): Promise<ExportFacts> {
    const facts = await this.#find(name, this.#factsOf(name));
    this.#budget.return(OPTION_BYTES + data.length, () => this.#exportCount());
    return facts;
  }

  async #factsOf(name: string): Promise<ExportFacts | undefined> {
    const directory = this.#directory;
    if (directory.describe !== undefined) return directory.describe(name);
    const opened = await directory.open(name);
    opened?.release();
    return opened;
  }

  #exportCount(): number {
    return this.#directory.exportCount?.() ?? 0;
  }

  async #find<T>(name: string, opening: Promise<T | undefined>): Promise<T> {
    let opened: T | undefined;
    try {
      opened = await opening;
    } catch (error) {
      throw new Refusal(OptionReply.ERR_UNKNOWN, `export "${name}" can't be opened: ${errorMessage(error)}`);
    }
    if (opened !== undefined) return opened;
    throw new Refusal(OptionReply.ERR_UNKNOWN, name === '' ? 'there is no default export: give a name' : `there is no export "${name}"`);
  }

  async #withExport<T>(opened: HandshakeExport<E>, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      opened.release();
      throw error;
    }
  }

  #session(opened: HandshakeExport<E>, requestedName: string, blockSizeAgreed: boolean): Omit<Session<E>, 'leftover'> {
    const contexts = this.#selected?.name === requestedName ? this.#selected.contexts : new Map<ContextName, number>();
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

function refuseData(data: Buffer, option: string): void {
  if (data.length > 0) throw new Refusal(OptionReply.ERR_INVALID, `${option} takes no data, ${data.length} bytes came with it`);
}

function namespace(context: string): string {
  return context.slice(0, context.indexOf(':'));
}

function refuseWithoutNamespace(query: string): void {
  if (query.indexOf(':') < 1) throw new Refusal(OptionReply.ERR_INVALID, `query "${query}" names no namespace: write NAMESPACE:NAME`);
}
