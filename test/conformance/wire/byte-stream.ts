/**
 * Bytes from and to a peer, exactly counted.
 *
 * Invariant: no wait is without an end. A peer that says nothing fails the test with the name of what was awaited.
 */
import type { Duplex } from 'node:stream';
import { patienceMs } from '../../support/wait.js';

export class ByteStream {
  readonly stream: Duplex;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #closed = false;
  #wake: (() => void) | undefined;
  #paused = false;

  constructor(stream: Duplex) {
    this.stream = stream;
    const close = (): void => {
      this.#closed = true;
      this.#wake?.();
    };
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#buffered += chunk.length;
      this.#wake?.();
    });
    stream.on('end', close);
    stream.on('close', close);
    // A reset is one of the ways in which a peer may go; tests look at what was received.
    stream.on('error', close);
  }

  /** Bytes that came and were not taken yet. */
  get bufferedBytes(): number {
    return this.#buffered;
  }

  /** Whether the peer has closed its side. */
  get closed(): boolean {
    return this.#closed;
  }

  send(...parts: Uint8Array[]): void {
    if (!this.stream.destroyed) this.stream.write(Buffer.concat(parts));
  }

  /** Resolves once the bytes are out of this process, for peers that read slowly. */
  async sendAll(part: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.stream.write(part, () => resolve()));
  }

  /** Stops reading from the socket until `resume`. */
  pause(): void {
    this.#paused = true;
    this.stream.pause();
  }

  resume(): void {
    this.#paused = false;
    this.stream.resume();
  }

  /** The next `lengthBytes` bytes; rejects if the peer closes before or stays silent. */
  async take(lengthBytes: number, what: string, timeoutMs = patienceMs): Promise<Buffer> {
    await this.#until(() => this.#buffered >= lengthBytes, what, timeoutMs);
    if (this.#buffered < lengthBytes) {
      throw new Error(`${what}: the peer closed after ${this.#buffered} of ${lengthBytes} bytes`);
    }
    return this.#shift(lengthBytes);
  }

  /** Everything up to the peer's end of file. */
  async rest(what: string, timeoutMs = patienceMs): Promise<Buffer> {
    await this.#until(() => false, what, timeoutMs);
    return this.#shift(this.#buffered);
  }

  destroy(): void {
    this.stream.destroy();
  }

  async #until(enough: () => boolean, what: string, timeoutMs: number): Promise<void> {
    if (this.#paused) throw new Error(`${what}: reading is paused`);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake?.();
    }, timeoutMs);
    while (!enough() && !this.#closed && !late) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(timer);
    this.#wake = undefined;
    if (late && !enough() && !this.#closed)
      throw new Error(`${what}: nothing came for ${timeoutMs} ms (${this.#buffered} bytes are there)`);
  }

  #shift(lengthBytes: number): Buffer {
    if (lengthBytes === 0) return Buffer.alloc(0);
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    const rest = all.subarray(lengthBytes);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#buffered = rest.length;
    return all.subarray(0, lengthBytes);
  }
}
