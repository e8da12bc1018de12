/**
 * The handshake's view of a stream: exact reads, gathered writes, and one failure that ends every
 * wait. Client and server use it.
 *
 * Invariants: no byte behind the handshake is lost; `release` returns them. The input of one
 * handshake is bounded. A writer waits until the peer takes its bytes.
 */
import type { Duplex } from 'node:stream';
import { NbdDisconnectedError, NbdProtocolError } from '../codec/error.js';

/** Size at which gathered replies are written, unless the answer is complete before. */
const FLUSH_BYTES = 64 * 1024;

export class HandshakeChannel {
  readonly #stream: Duplex;
  readonly #peer: string;
  #leftBytes: number;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;

  /**
   * @param peer name of the other end in errors: `client` or `server`
   * @param maxBytes bound on the input before `release`; more is an NbdProtocolError
   */
  constructor(stream: Duplex, peer: string, maxBytes: number) {
    this.#stream = stream;
    this.#peer = peer;
    this.#leftBytes = maxBytes;
    stream.on('readable', this.#onEvent);
    stream.on('drain', this.#onEvent);
    stream.on('end', this.#onEnd);
    stream.on('error', this.#onError);
    stream.on('close', this.#onClose);
    if (stream.readableEnded) this.#ended = true;
    else if (stream.destroyed) this.#onClose();
  }

  /**
   * Reads the next `sizeBytes` bytes, which are the caller's own. Resolves to `undefined` if the
   * peer ended the stream just before them.
   *
   * @throws NbdProtocolError if the stream ended among them or the bound is passed;
   * NbdDisconnectedError if the connection broke
   */
  async read(sizeBytes: number): Promise<Buffer | undefined> {
    this.#spend(sizeBytes);
    while (this.#receivedBytes < sizeBytes) {
      if (!(await this.#receive())) {
        if (this.#receivedBytes === 0) return undefined;
        throw new NbdProtocolError(`${this.#peer} ended the connection in the middle of a message`);
      }
    }
    return this.#take(sizeBytes);
  }

  /** Reads like `read`, at a point where the peer must not end the stream. */
  async readRest(sizeBytes: number): Promise<Buffer> {
    const bytes = sizeBytes === 0 ? Buffer.alloc(0) : await this.read(sizeBytes);
    if (bytes === undefined) throw new NbdProtocolError(`${this.#peer} ended the connection in the middle of a message`);
    return bytes;
  }

  /** Skips `sizeBytes` bytes without holding them all at once. */
  async skip(sizeBytes: number): Promise<void> {
    if (sizeBytes > this.#leftBytes) throw new NbdProtocolError(`${this.#peer} announced ${sizeBytes} bytes, more than a handshake takes`);
    for (let left = sizeBytes; left > 0; left -= FLUSH_BYTES) await this.readRest(Math.min(left, FLUSH_BYTES));
  }

  /** Lets the handshake read more than `maxBytes`. */
  allow(bytes: number): void {
    this.#leftBytes += bytes;
  }

  /** Gathers bytes to be written. Waits only when much is gathered. */
  async put(bytes: Buffer): Promise<void> {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= FLUSH_BYTES) await this.flush();
  }

  /** Writes the gathered bytes in one write, and waits until the stream takes more. */
  async flush(): Promise<void> {
    this.#check();
    if (this.#gatheredBytes === 0) return;
    const bytes = Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (this.#stream.write(bytes)) return;
    while (this.#stream.writableNeedDrain) {
      await this.#event();
      this.#check();
    }
  }

  /** Ends every wait, now and later, with `failure`. */
  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#onEvent();
  }

  /**
   * Lets go of the stream, which is neither flowing nor explicitly paused then. Returns the bytes
   * that were read behind the handshake. Errors of a failed stream stay caught.
   */
  release(): Buffer {
    if (this.#failure !== undefined) this.#stream.on('error', () => {});
    this.#stream.off('readable', this.#onEvent);
    this.#stream.off('drain', this.#onEvent);
    this.#stream.off('end', this.#onEnd);
    this.#stream.off('error', this.#onError);
    this.#stream.off('close', this.#onClose);
    return this.#take(this.#receivedBytes);
  }

  readonly #onEvent = (): void => {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#onEvent();
  };

  readonly #onError = (error: Error): void => {
    this.fail(new NbdDisconnectedError(`connection to the ${this.#peer} broke during the handshake`, { cause: error }));
  };

  readonly #onClose = (): void => {
    if (this.#ended) this.#onEvent();
    else this.fail(new NbdDisconnectedError(`connection to the ${this.#peer} closed during the handshake`));
  };

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #spend(sizeBytes: number): void {
    this.#leftBytes -= sizeBytes;
    if (this.#leftBytes < 0) throw new NbdProtocolError(`${this.#peer} sent more than a handshake takes`);
  }

  /** Resolves to true once more bytes arrived, to false if none will come. */
  async #receive(): Promise<boolean> {
    for (;;) {
      this.#check();
      const piece: Buffer | null = this.#stream.read();
      if (piece !== null) {
        this.#received.push(piece);
        this.#receivedBytes += piece.length;
        return true;
      }
      if (this.#ended) return false;
      await this.#event();
    }
  }

  #event(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(sizeBytes: number): Buffer {
    const first = this.#received[0];
    const all = this.#received.length === 1 && first !== undefined ? first : Buffer.concat(this.#received, this.#receivedBytes);
    this.#receivedBytes -= sizeBytes;
    this.#received = this.#receivedBytes === 0 ? [] : [all.subarray(sizeBytes)];
    return all.subarray(0, sizeBytes);
  }
}
