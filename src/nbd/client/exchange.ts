/**
 * One request in flight. It checks every chunk of the reply against the request, passes the content
 * on, and settles once.
 *
 * Invariant: a thrown NbdProtocolError means that the server can't be trusted any more, and the
 * connection dies. An error that the server reports, or that the sink throws, ends this request
 * alone, after its last chunk.
 */
import { Command, CommandFlag, type ReplyMode, ReplyType, ReplyTypeErrorBit } from '../codec/constant.js';
import { nbdErrorName } from '../codec/errno.js';
import { NbdProtocolError, NbdRequestError } from '../codec/error.js';
import type { StatusExtent } from '../codec/frame.js';
import { decodeBlockStatus, decodeHole, decodeReplyError } from '../codec/reply.js';
import type { NbdReadSink } from './contract.js';
import { Coverage } from './coverage.js';

/** A request as the caller makes it. */
export interface Ask {
  /** A `Command`. */
  type: number;
  /** `CommandFlag`s. */
  flags: number;
  offset: number;
  lengthBytes: number;
  /** Data of a WRITE. */
  payload?: Buffer | undefined;
  /** Sink for the bytes of a READ. */
  sink?: NbdReadSink | undefined;
}

export class Exchange {
  readonly ask: Ask;
  /** Time of sending, by the clock of a connection with patience. */
  sentAtMs = 0;
  isGivenUp = false;
  /** Extents of BLOCK_STATUS, by context id. */
  readonly status = new Map<number, StatusExtent[]>();
  /** Settles at the end of the reply. Rejects with the server's error or the connection's. */
  readonly settled: Promise<void>;
  #resolve: () => void = () => {};
  #reject: (error: unknown) => void = () => {};
  readonly #coverage: Coverage | undefined;
  readonly #contextIds: ReadonlySet<number>;
  #contentChunks = 0;
  #sink: NbdReadSink | undefined;
  #failure: { error: unknown } | undefined;

  /** @param contextIds contexts that a BLOCK_STATUS must answer for */
  constructor(ask: Ask, contextIds: ReadonlySet<number>) {
    this.ask = ask;
    this.#sink = ask.sink;
    this.#contextIds = contextIds;
    this.#coverage = ask.type === Command.READ ? new Coverage(ask.offset, ask.lengthBytes) : undefined;
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A caller that gave up does not listen for the rejection.
    this.settled.catch(() => {});
  }

  /** The caller gave up. The rest of the reply is checked and dropped. */
  forget(): void {
    this.#sink = undefined;
  }

  /**
   * Fails the request, because the server has had enough time. Its reply is checked and dropped
   * when it arrives.
   */
  giveUp(error: Error): void {
    this.isGivenUp = true;
    this.forget();
    this.#reject(error);
  }

  /**
   * Takes a simple reply.
   *
   * @returns bytes of data that follow
   */
  simple(error: number, replies: ReplyMode): number {
    const wantsContent = this.ask.type === Command.READ || this.ask.type === Command.BLOCK_STATUS;
    if (replies !== 'simple' && (this.ask.type === Command.READ || (wantsContent && error === 0))) {
      throw new NbdProtocolError('server sent a simple reply to a request that needs a structured one');
    }
    if (error !== 0) {
      this.#fail(error, '');
      return 0;
    }
    if (this.#coverage === undefined) return 0;
    this.#cover(this.ask.offset, this.ask.lengthBytes);
    return this.ask.lengthBytes;
  }

  /** Takes the beginning of a data chunk. */
  beginData(offset: number, lengthBytes: number): void {
    this.#content();
    this.#cover(offset, lengthBytes);
  }

  /** Takes a part of a data chunk, or of a simple reply's data. */
  data(piece: Buffer, offset: number): void {
    this.#toSink((sink) => sink.data(piece, offset));
  }

  /** Takes any other whole chunk. */
  chunk(type: number, payload: Buffer, extended: boolean): void {
    if (type === ReplyType.OFFSET_HOLE) this.#hole(payload);
    else if (type === (extended ? ReplyType.BLOCK_STATUS_EXT : ReplyType.BLOCK_STATUS)) this.#blockStatus(payload, extended);
    else if ((type & ReplyTypeErrorBit) !== 0) {
      const { error, text, offset } = decodeReplyError(payload, type);
      this.#fail(error, text, offset);
    } else if (type !== ReplyType.NONE) throw new NbdProtocolError(`server sent a chunk of unknown type ${type}`);
  }

  /** Takes the end of the last chunk. */
  finish(): void {
    if (this.#failure !== undefined) {
      this.#reject(this.#failure.error);
      return;
    }
    if (this.#coverage !== undefined && !this.#coverage.whole) throw new NbdProtocolError('server ended a read with bytes missing');
    if (this.ask.type === Command.BLOCK_STATUS && this.status.size !== this.#contextIds.size) {
      throw new NbdProtocolError(`server described ${this.status.size} contexts, but ${this.#contextIds.size} were selected`);
    }
    this.#resolve();
  }

  /** Fails the request, because the connection is gone. */
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
    if (this.ask.type !== Command.BLOCK_STATUS) throw new NbdProtocolError('server sent block status that was not requested');
    if (!this.#contextIds.has(contextId) || this.status.has(contextId)) {
      throw new NbdProtocolError(`server described context ${contextId}, which was not selected or came before`);
    }
    const one = (this.ask.flags & CommandFlag.REQ_ONE) !== 0;
    let left = this.ask.lengthBytes;
    for (const extent of extents) {
      if (left <= 0) throw new NbdProtocolError('server sent extents beyond the request');
      if (one && (extents.length > 1 || extent.lengthBytes > left))
        throw new NbdProtocolError('server sent more than the one requested extent');
      left -= extent.lengthBytes;
    }
    // The last extent may reach beyond the request; the caller gets only the part inside.
    const last = extents.at(-1);
    if (last !== undefined && left < 0) last.lengthBytes = remaining(extents, this.ask.lengthBytes);
    this.status.set(contextId, extents);
  }

  #content(): void {
    this.#contentChunks += 1;
    if ((this.ask.flags & CommandFlag.DF) !== 0 && this.#contentChunks > 1)
      throw new NbdProtocolError('server fragmented a read with the flag DF');
  }

  #cover(offset: number, lengthBytes: number): void {
    if (this.#coverage === undefined) throw new NbdProtocolError('server sent data that was not requested');
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

  /** Notes a failure; the first error counts. */
  #fail(error: number, text: string, offset?: number): void {
    const code = nbdErrorName(error);
    const { ask } = this;
    const message = `server failed ${commandName(ask.type)} of ${ask.lengthBytes} bytes at ${ask.offset}: ${text === '' ? code : text}`;
    this.#failure ??= { error: new NbdRequestError(code, message, { offset }) };
  }
}

/** Returns the part of the last extent that lies inside `lengthBytes`. */
function remaining(extents: readonly StatusExtent[], lengthBytes: number): number {
  let left = lengthBytes;
  for (const extent of extents.slice(0, -1)) left -= extent.lengthBytes;
  return left;
}

function commandName(type: number): string {
  return Object.entries(Command).find(([, value]) => value === type)?.[0] ?? `command ${type}`;
}
