/**
 * BLAKE3-256 of chunks, manifests and whole files. For the text of a digest see `digest-text.ts`.
 *
 * Hashing is synchronous, and 256 KiB take some 60 µs. A caller with more hashes it in pieces, with
 * turns of the event loop in between.
 */
import { Blake3Hasher, blake3 } from '@napi-rs/blake-hash';
import { digestFromHex } from './digest-text.js';

export const digestBytes = 32;

/** The 32 bytes themselves. */
export function blake3Of(bytes: Uint8Array): Buffer {
  return blake3(bytes);
}

/** The digest as text. */
export function digestOf(bytes: Uint8Array): string {
  return digestFromHex(blake3(bytes).toString('hex'));
}

/** Digest of bytes that come in pieces, in order. */
export class DigestBuilder {
  readonly #hasher = new Blake3Hasher();

  update(piece: Uint8Array): void {
    this.#hasher.update(piece);
  }

  /** The digest of all pieces so far, as text. */
  digest(): string {
    return digestFromHex(this.#hasher.digestBuffer().toString('hex'));
  }
}
