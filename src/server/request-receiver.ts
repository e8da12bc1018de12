/**
 * Cuts a connection's input into requests and their payloads. No I/O: chunks are pushed in, requests are pulled out, so the puller decides when to stop.
 *
 * Invariant: at most one pushed chunk is held; the puller pauses its stream while it does not pull.
 */
import { EXTENDED_REQUEST_BYTES, REQUEST_BYTES } from '../nbd/codec/constant.js';
import { NbdProtocolError } from '../nbd/codec/error.js';
import { parseCompactRequest, parseExtendedRequest, type Request } from '../nbd/codec/frame.js';

const empty = Buffer.alloc(0);

export class RequestReceiver {
  readonly #headerBytes: number;
  readonly #parse: (source: Buffer, at: number, into: Request) => boolean;
  /** A header that is split over chunks. */
  readonly #partial: Buffer;
  #partialBytes = 0;
  #chunk: Buffer = empty;
  #at = 0;
  /** Where the payload under way goes; `undefined` while it is skipped. */
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  #payloadFilled = 0;

  constructor(extended: boolean) {
    this.#headerBytes = extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
    this.#parse = extended ? parseExtendedRequest : parseCompactRequest;
    this.#partial = Buffer.alloc(this.#headerBytes);
  }

  /** Bytes that were pushed and not yet pulled. */
  get pendingBytes(): number {
    return this.#chunk.length - this.#at;
  }

  push(chunk: Buffer): void {
    this.#chunk = this.pendingBytes === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /**
   * Parses the next request's header into `into`. `false`: more input is needed.
   *
   * @throws NbdProtocolError when the input is no request: nothing after it can be made sense of
   */
  next(into: Request): boolean {
    let source = this.#chunk;
    let at = this.#at;
    if (this.#partialBytes > 0 || this.pendingBytes < this.#headerBytes) {
      const count = Math.min(this.#headerBytes - this.#partialBytes, this.pendingBytes);
      this.#chunk.copy(this.#partial, this.#partialBytes, this.#at, this.#at + count);
      this.#at += count;
      this.#partialBytes += count;
      if (this.#partialBytes < this.#headerBytes) return false;
      this.#partialBytes = 0;
      source = this.#partial;
      at = 0;
    } else {
      this.#at += this.#headerBytes;
    }
    if (!this.#parse(source, at, into)) {
      throw new NbdProtocolError(
        `no request begins with ${source.toString('hex', at, at + 4)}: the client lost its place or speaks another protocol`,
      );
    }
    return true;
  }

  /** The bytes that follow the last request are its payload: put them into `payload`, or skip them. Then pull with `fill`. */
  expect(lengthBytes: number, payload: Buffer | undefined): void {
    this.#payload = payload;
    this.#payloadBytes = lengthBytes;
    this.#payloadFilled = 0;
  }

  /** `true` once the expected payload is complete. */
  fill(): boolean {
    const count = Math.min(this.#payloadBytes - this.#payloadFilled, this.pendingBytes);
    if (this.#payload !== undefined) this.#chunk.copy(this.#payload, this.#payloadFilled, this.#at, this.#at + count);
    this.#at += count;
    this.#payloadFilled += count;
    if (this.#payloadFilled < this.#payloadBytes) return false;
    this.#payload = undefined;
    return true;
  }
}
