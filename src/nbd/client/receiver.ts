/**
 * Divides the server's byte stream into replies and gives each to its exchange. Data is not copied:
 * a piece of a read goes to the sink as a view of the socket's buffer.
 *
 * Invariants: no memory is allocated from a length before the length is bounded. At most one header
 * or one small payload is gathered.
 */
import { MAX_PAYLOAD_BYTES, type ReplyMode, ReplyType } from '../codec/constant.js';
import { NbdProtocolError } from '../codec/error.js';
import { fromHalves } from '../codec/frame.js';
import { emptyReplyHeader, maxChunkPayloadBytes, parseReplyHeader, replyHeaderBytes } from '../codec/reply.js';
import type { Exchange } from './exchange.js';

export interface ExchangeSource {
  /** Returns the exchange of a cookie, if it is in flight. */
  find(cookieHigh: number, cookieLow: number): Exchange | undefined;
  /** Called when the reply is complete and the cookie is free again. */
  finished(exchange: Exchange, cookieLow: number): void;
}

type Expecting = 'header' | 'dataOffset' | 'payload' | 'data';

export class ReplyReceiver {
  readonly #replies: ReplyMode;
  readonly #source: ExchangeSource;
  readonly #header = emptyReplyHeader();
  #exchange: Exchange | undefined;
  #expecting: Expecting = 'header';
  /** Bytes gathered for `#expecting`; never more than `#neededBytes`. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  /** Bytes that `#expecting` takes; for data, the bytes still to come. */
  #neededBytes = 4;
  #dataOffset = 0;

  constructor(replies: ReplyMode, source: ExchangeSource) {
    this.#replies = replies;
    this.#source = source;
  }

  /** True between replies, where the stream may end. */
  get idle(): boolean {
    return this.#expecting === 'header' && this.#gatheredBytes === 0;
  }

  /** @throws NbdProtocolError; the receiver is of no use then */
  push(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      const headerBytes = this.#wholeHeaderBytes(piece, at);
      if (headerBytes > 0) {
        this.#reply(piece.subarray(at, at + headerBytes));
        at += headerBytes;
        continue;
      }
      const size = Math.min(this.#neededBytes - (this.#expecting === 'data' ? 0 : this.#gatheredBytes), piece.length - at);
      const part = piece.subarray(at, at + size);
      at += size;
      if (this.#expecting === 'data') {
        this.#data(part);
        continue;
      }
      this.#gathered.push(part);
      this.#gatheredBytes += size;
      if (this.#gatheredBytes === this.#neededBytes) this.#complete();
    }
  }

  /** Returns the size of the header at `at` if all of it is there, the usual case; else 0. */
  #wholeHeaderBytes(piece: Buffer, at: number): number {
    if (!this.idle || piece.length - at < 4) return 0;
    const headerBytes = replyHeaderBytes(piece.readUInt32BE(at), this.#replies);
    return piece.length - at < headerBytes ? 0 : headerBytes;
  }

  #complete(): void {
    const first = this.#gathered[0];
    const bytes = this.#gathered.length === 1 && first !== undefined ? first : Buffer.concat(this.#gathered, this.#gatheredBytes);
    if (this.#expecting === 'header') {
      const headerBytes = replyHeaderBytes(bytes.readUInt32BE(0), this.#replies);
      if (bytes.length < headerBytes) {
        this.#gathered = [bytes];
        this.#neededBytes = headerBytes;
        return;
      }
    }
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (this.#expecting === 'header') this.#reply(bytes);
    else if (this.#expecting === 'dataOffset') this.#beginData(fromHalves(bytes.readUInt32BE(0), bytes.readUInt32BE(4)));
    else this.#payload(bytes);
  }

  #reply(bytes: Buffer): void {
    const header = this.#header;
    parseReplyHeader(bytes, 0, header);
    const exchange = this.#source.find(header.cookieHigh, header.cookieLow);
    if (exchange === undefined) throw new NbdProtocolError('server answered a request that is not in flight');
    this.#exchange = exchange;
    if (header.kind === 'simple') {
      this.#dataOffset = exchange.ask.offset;
      this.#expect('data', exchange.simple(header.error, this.#replies));
      return;
    }
    if (header.kind === 'extended' && header.offset !== exchange.ask.offset) {
      throw new NbdProtocolError(`server answered for offset ${header.offset} a request at ${exchange.ask.offset}`);
    }
    if (header.type === ReplyType.OFFSET_DATA) {
      if (header.payloadBytes < 9 || header.payloadBytes > 8 + MAX_PAYLOAD_BYTES) {
        throw new NbdProtocolError(`server announced a data chunk of ${header.payloadBytes} bytes`);
      }
      this.#expect('dataOffset', 8);
      return;
    }
    if (header.payloadBytes > maxChunkPayloadBytes(header.type) || (header.type === ReplyType.NONE && !header.done)) {
      throw new NbdProtocolError(`server announced ${header.payloadBytes} bytes in a chunk of type ${header.type}`);
    }
    if (header.payloadBytes === 0) this.#payload(Buffer.alloc(0));
    else this.#expect('payload', header.payloadBytes);
  }

  #beginData(offset: number): void {
    const lengthBytes = this.#header.payloadBytes - 8;
    this.#exchange?.beginData(offset, lengthBytes);
    this.#dataOffset = offset;
    this.#expect('data', lengthBytes);
  }

  #payload(payload: Buffer): void {
    this.#exchange?.chunk(this.#header.type, payload, this.#replies === 'extended');
    this.#endChunk();
  }

  #data(part: Buffer): void {
    this.#exchange?.data(part, this.#dataOffset);
    this.#dataOffset += part.length;
    this.#expect('data', this.#neededBytes - part.length);
  }

  /** Sets the next expectation. Data of length 0 is complete at once. */
  #expect(expecting: Expecting, neededBytes: number): void {
    this.#expecting = expecting;
    this.#neededBytes = neededBytes;
    if (expecting === 'data' && neededBytes === 0) this.#endChunk();
  }

  #endChunk(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#expect('header', 4);
    if (exchange === undefined || !this.#header.done) return;
    exchange.finish();
    this.#source.finished(exchange, this.#header.cookieLow);
  }
}
