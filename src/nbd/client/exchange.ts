/**
 * One request in flight: checks every chunk of its reply against what was asked, hands the content on, and settles once.
 *
 * Invariant: a throw (NbdProtocolError) means that the server can't be trusted any more and the connection dies; an error that the
 * server reports, or that the sink throws, ends this request alone, after its last chunk.
 */
import { Command, CommandFlag, type ReplyMode, ReplyType, ReplyTypeErrorBit } from '../codec/constant.js';
import { nbdErrorName } from '../codec/errno.js';
import { NbdProtocolError, NbdRequestError } from '../codec/error.js';
import type { StatusExtent } from '../codec/frame.js';
import { decodeBlockStatus, decodeHole, decodeReplyError } from '../codec/reply.js';
import type { NbdReadSink } from './contract.js';
import { Coverage } from './coverage.js';

/** A request as the caller wants it. */
export interface Ask {
  /** A `Command`. */
  type: number;
  /** `CommandFlag`s. */
  flags: number;
  offset: number;
  lengthBytes: number;
  /** What a WRITE carries. */
  payload?: Buffer | undefined;
  /** Where a READ goes. */
  sink?: NbdReadSink | undefined;
}

export class Exchange {
  readonly ask: Ask;
  /** By the clock of a connection with patience. */
  sentAtMs = 0;
  isGivenUp = false;
  /** BLOCK_STATUS: what was told, by context id. */
  readonly status = new Map<number, StatusExtent[]>();
  /** Settles with the reply's end; a rejection is the server's error or the connection's. */
  readonly settled: Promise<void>;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #coverage: Coverage | undefined;
  readonly #contextIds: ReadonlySet<number>;
  #contentChunks = 0;
  #sink: NbdReadSink | undefined;
  #failure: { error: unknown } | undefined;

  /** @param contextIds what a BLOCK_STATUS must answer for */
  constructor(ask: Ask, contextIds: ReadonlySet<number>) {
    this.ask = ask;
    this.#sink = ask.sink;
    this.#contextIds = contextIds;
    this.#coverage = ask.type === Command.READ ? new Coverage(ask.offset, ask.lengthBytes) : undefined;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever gave up waiting leaves nobody to hear of it.
    this.settled.catch(() => {});
  }

  /** The caller gave up: the rest of the reply is checked and dropped. */
  forget(): void {
    this.#sink = undefined;
  }

  /** The server was given enough time: the caller hears of it, and the reply is checked and dropped when it comes. */
  giveUp(error: Error): void {
    this.isGivenUp = true;
    this.forget();
    this.#reject(error);
  }

  /** A simple reply. @returns how many bytes of data follow */
  simple(error: number, replies: ReplyMode): number {
    const wantsContent = this.ask.type === Command.READ || this.ask.type === Command.BLOCK_STATUS;
    if (replies !== 'simple' && (this.ask.type === Command.READ || (wantsContent && error === 0))) {
      throw new NbdProtocolError('server answered with a simple reply what needs a structured one');
    }
    if (error !== 0) {
      this.#fail(error, '');
      return 0;
    }
    if (this.#coverage === undefined) return 0;
    this.#cover(this.ask.offset, this.ask.lengthBytes);
    return this.ask.lengthBytes;
  }

  /** The beginning of a data chunk. */
  beginData(offset: number, lengthBytes: number): void {
    this.#content();
    this.#cover(offset, lengthBytes);
  }

  /** A part of a data chunk, or of a simple reply's data. */
  data(piece: Buffer, offset: number): void {
    this.#toSink((sink) => sink.data(piece, offset));
  }

  /** Any other whole chunk. */
  chunk(type: number, payload: Buffer, extended: boolean): void {
    if (type === ReplyType.OFFSET_HOLE) this.#hole(payload);
    else if (type === (extended ? ReplyType.BLOCK_STATUS_EXT : ReplyType.BLOCK_STATUS)) this.#blockStatus(payload, extended);
    else if ((type & ReplyTypeErrorBit) !== 0) {
      const { error, text, offset } = decodeReplyError(payload, type);
      this.#fail(error, text, offset);
    } else if (type !== ReplyType.NONE) throw new NbdProtocolError(`server sent a chunk of unknown type ${type}`);
  }

  /** The last chunk is through. */
  finish(): void {
    if (this.#failure !== undefined) {
      this.#reject(this.#failure.error);
      return;
    }
    if (this.#coverage !== undefined && !this.#coverage.whole) throw new NbdProtocolError('server ended a read with bytes missing');
    if (this.ask.type === Command.BLOCK_STATUS && this.status.size !== this.#contextIds.size) {
      throw new NbdProtocolError(`server told of ${this.status.size} contexts where ${this.#contextIds.size} were selected`);
    }
    this.#resolve();
  }

  /** The connection is gone, and the reply with it. */
  die(error: Error): void {
    this.#reject(error);
  }

  #hole(payload: Buffer): void {
    const { offset, lengthBytes } = decodeHole(payload);
    this.#content();
    this.#cover(offset, lengthBytes);
    this.#toSink((sink) => sink.zeroes(offset, lengthBytes));
  }

  #blockStatus(payload: Buffer, extended: boolean): void {
    const { contextId, extents } = decodeBlockStatus(payload, extended);
    if (this.ask.type !== Command.BLOCK_STATUS) throw new NbdProtocolError('server sent block status that nobody asked for');
    if (!this.#contextIds.has(contextId) || this.status.has(contextId)) {
      throw new NbdProtocolError(`server told of context ${contextId}, which was not selected or came before`);
    }
    const one = (this.ask.flags & CommandFlag.REQ_ONE) !== 0;
    let left = this.ask.lengthBytes;
    for (const extent of extents) {
      if (left <= 0) throw new NbdProtocolError('server sent extents beyond the request');
      if (one && (extents.length > 1 || extent.lengthBytes > left))
        throw new NbdProtocolError('server sent more than the one extent wanted');
      left -= extent.lengthBytes;
    }
    // The last extent may reach farther than was asked; the caller is told what it asked for.
    const last = extents.at(-1);
    if (last !== undefined && left < 0) last.lengthBytes = remaining(extents, this.ask.lengthBytes);
    this.status.set(contextId, extents);
  }

  #content(): void {
    this.#contentChunks += 1;
    if ((this.ask.flags & CommandFlag.DF) !== 0 && this.#contentChunks > 1)
      throw new NbdProtocolError('server fragmented a read that forbade it');
  }

  #cover(offset: number, lengthBytes: number): void {
    if (this.#coverage === undefined) throw new NbdProtocolError('server sent data that nobody asked for');
    const wrong = this.#coverage.add(offset, lengthBytes);
    if (wrong !== undefined) throw new NbdProtocolError(`server sent ${wrong}: ${lengthBytes} bytes at ${offset}`);
  }

  #toSink(use: (sink: NbdReadSink) => void): void {
    if (this.#sink === undefined || this.#failure !== undefined) return;
    try {
      use(this.#sink);
    } catch (error) {
      this.#failure = { error };
    }
  }

  /** The first error counts. */
  #fail(error: number, text: string, offset?: number): void {
    const code = nbdErrorName(error);
    const { ask } = this;
    const message = `server failed ${commandName(ask.type)} of ${ask.lengthBytes} bytes at ${ask.offset}: ${text === '' ? code : text}`;
    this.#failure ??= { error: new NbdRequestError(code, message, { offset }) };
  }
}

/** What the last extent may have of `lengthBytes`. */
function remaining(extents: readonly StatusExtent[], lengthBytes: number): number {
  let left = lengthBytes;
  for (const extent of extents.slice(0, -1)) left -= extent.lengthBytes;
  return left;
}

function commandName(type: number): string {
  return Object.entries(Command).find(([, value]) => value === type)?.[0] ?? `command ${type}`;
}
