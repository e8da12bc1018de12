/**
 * Reads and builds the payloads of the handshake: fixed fields and strings, each checked before it
 * is taken.
 *
 * Invariant: with any bytes, reading throws nothing but NbdProtocolError, and allocates no more
 * than the payload's size.
 */
import { MAX_STRING_BYTES } from './constant.js';
import { NbdProtocolError } from './error.js';
import { fromHalves, putUInt64 } from './frame.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Decodes a string by doc/proto.md, "Conventions": valid UTF-8, no NUL, at most 4096 bytes. */
export function decodeString(bytes: Buffer): string {
  if (bytes.length > MAX_STRING_BYTES)
    throw new NbdProtocolError(`string of ${bytes.length} bytes, at most ${MAX_STRING_BYTES} are allowed`);
  if (bytes.includes(0)) throw new NbdProtocolError('string with a NUL in it');
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new NbdProtocolError('string that is not UTF-8', { cause: error });
  }
}

/** @throws NbdProtocolError if the peer could not take the string */
export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length > MAX_STRING_BYTES)
    throw new NbdProtocolError(`string of ${bytes.length} bytes, at most ${MAX_STRING_BYTES} are allowed`);
  if (bytes.includes(0)) throw new NbdProtocolError('string with a NUL in it');
  return bytes;
}

export class PayloadReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get leftBytes(): number {
    return this.#bytes.length - this.#at;
  }

  /** Returns a view of the next `sizeBytes`, not a copy. */
  bytes(sizeBytes: number): Buffer {
    if (sizeBytes > this.leftBytes) throw new NbdProtocolError(`payload ends ${sizeBytes - this.leftBytes} bytes too early`);
    this.#at += sizeBytes;
    return this.#bytes.subarray(this.#at - sizeBytes, this.#at);
  }

  uint16(): number {
    return this.bytes(2).readUInt16BE();
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  /** Returns a safe integer, or `OUT_OF_RANGE`. */
  uint64(): number {
    const field = this.bytes(8);
    return fromHalves(field.readUInt32BE(0), field.readUInt32BE(4));
  }

  string(sizeBytes: number): string {
    return decodeString(this.bytes(sizeBytes));
  }

  /** Returns a string with its length in front, 32 bits. */
  prefixedString(): string {
    return this.string(this.uint32());
  }

  restString(): string {
    return this.string(this.leftBytes);
  }

  /** Asserts that no byte follows. */
  end(): void {
    if (this.leftBytes > 0) throw new NbdProtocolError(`payload has ${this.leftBytes} bytes too many`);
  }
}

export function uint16(value: number): Buffer {
  const field = Buffer.alloc(2);
  field.writeUInt16BE(value);
  return field;
}

export function uint32(value: number): Buffer {
  const field = Buffer.alloc(4);
  field.writeUInt32BE(value);
  return field;
}

/** @param value a safe integer */
export function uint64(value: number): Buffer {
  const field = Buffer.alloc(8);
  putUInt64(field, 0, value);
  return field;
}

export function prefixedString(text: string): Buffer {
  const bytes = encodeString(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}
