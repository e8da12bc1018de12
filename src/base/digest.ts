/**
 * BLAKE3-256: of chunks, manifests and whole files. As text `blake3:` and 64 hexadecimal digits.
 *
 * Synchronous: 256 KiB take some 60 µs, so whoever hashes much does it piece by piece, with turns of the event loop in between.
 */
import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash';
import { CopseError } from './error.js';

export const digestBytes = 32;

const prefix = 'blake3:';
const digestPattern = /^blake3:[0-9a-f]{64}$/;

/** The 32 bytes themselves. */
export function blake3Of(bytes: Uint8Array): Buffer {
  return blake3(bytes);
}

/** `blake3:` and 64 hexadecimal digits. */
export function digestOf(bytes: Uint8Array): string {
  return `${prefix}${blake3(bytes).toString('hex')}`;
}

/** Of what comes in pieces, in order. */
export class DigestBuilder {
  readonly #hasher = new Blake3Hasher();

  update(piece: Uint8Array): void {
    this.#hasher.update(piece);
  }

  /** Of all pieces so far. */
  digest(): string {
    return `${prefix}${this.#hasher.digestBuffer().toString('hex')}`;
  }
}

/** Whether the text is a digest as Copse writes it. */
export function isDigest(text: string): boolean {
  return digestPattern.test(text);
}

/** @throws CopseError `ERR_DIGEST` unless it is `blake3:` and 64 hexadecimal digits in lower case */
export function checkDigest(text: string): void {
  if (isDigest(text)) return;
  throw new CopseError('ERR_DIGEST', `"${text}" is not a digest: write blake3: and 64 hexadecimal digits, as "copse image seal" prints it`);
}

/** The 64 hexadecimal digits alone. @throws CopseError `ERR_DIGEST` */
export function digestHex(digest: string): string {
  checkDigest(digest);
  return digest.slice(prefix.length);
}
