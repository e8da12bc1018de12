/**
 * Divides the input of a connection into requests and their payloads. It does no I/O: the caller
 * pushes chunks and pulls requests, so the caller decides when to stop.
 *
 * Invariant: at most one pushed chunk is held. The caller pauses its stream while it does not pull.
 */
import { EXTENDED_REQUEST_BYTES, REQUEST_BYTES } from '../nbd/codec/constant.js';
import { NbdProtocolError } from '../nbd/codec/error.js';
import { parseCompactRequest, parseExtendedRequest, type Request } from '../nbd/codec/frame.js';

const empty = Buffer.alloc(0);

export class RequestReceiver {
  readonly #headerBytes: number;
  readonly #parse: (source: Buffer, at: number, into: Request) => boolean;
  /** Header that is split over chunks. */
  readonly #partial: Buffer;
  #partialBytes = 0;
  #chunk: Buffer = empty;
  #at = 0;
  /** Buffer of the payload that is being received; `undefined` while a payload is skipped. */
  #payload: Buffer | undefined;
  #payloadBytes = 0;
  #payloadFilled = 0;

  constructor(extended: boolean) {
    this.#headerBytes = extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
    this.#parse = extended ? parseExtendedRequest : parseCompactRequest;
    this.#partial = Buffer.alloc(this.#headerBytes);
  }

  /** Bytes that were pushed and not pulled. */
  get pendingBytes(): number {
    return this.#chunk.length - this.#at;
  }

  push(chunk: Buffer): void {
    this.#chunk = this.pendingBytes === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /**
   * Parses the header of the next request into `into`.
   *
   * @returns false if more input is needed
   * @throws NbdProtocolError when the input is no request; the rest of the input has no meaning
   * then
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

  /**
   * Announces that a payload follows the last request. `fill` puts it into `payload`, or skips it.
   */
  expect(lengthBytes: number, payload: Buffer | undefined): void {
    this.#payload = payload;
    this.#payloadBytes = lengthBytes;
    this.#payloadFilled = 0;
  }

  /** Returns true once the expected payload is complete. */
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
