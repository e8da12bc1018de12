/**
 * Digests of an image's chunks. They tell the image's bytes from all others, whatever their source.
 *
 * Invariant: a manifest in memory is complete and canonical; its digest is that of the file's
 * bytes. Cost: 32 bytes per chunk, 1.3 MB for 10 GiB in chunks of 256 KiB.
 */
import { blake3Of, digestBytes, digestOf } from '../base/digest.js';
import { native } from '../base/native/loader.js';
import {
  checkHeader,
  chunkCountOf,
  decodeHeader,
  encodeHeader,
  ManifestError,
  type ManifestHeader,
  manifestBytesOf,
  manifestHeaderBytes,
} from './format.js';
import type { ChunkVerifier } from './verifier.js';

export class Manifest implements ChunkVerifier {
  /** Bytes of the file, read-only. */
  readonly bytes: Buffer;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
  readonly chunkCount: number;
  #digest: string | undefined;

  /** Takes checked bytes of `decode` or the builder. */
  private constructor(bytes: Buffer, header: ManifestHeader) {
    this.bytes = bytes;
    this.sizeBytes = header.sizeBytes;
    this.chunkBytes = header.chunkBytes;
    this.chunkCount = chunkCountOf(header);
  }

  /**
   * Reads a whole manifest without an allocation. `bytes` become the manifest's own; the caller
   * does not write to them any more.
   *
   * @param digest the expected digest, as `blake3:…`
   * @throws ManifestError `ERR_DIGEST_MISMATCH` if it is another manifest, `ERR_MANIFEST` if it is
   * none
   */
  static decode(bytes: Buffer, digest?: string): Manifest {
    const found = digest === undefined ? undefined : digestOf(bytes);
    if (found !== digest) {
      throw new ManifestError(
        'ERR_DIGEST_MISMATCH',
        `the manifest's digest is ${found} and should be ${digest}: it is another one, or damaged`,
      );
    }
    const header = decodeHeader(bytes);
    const wantedBytes = manifestBytesOf(header);
    if (bytes.length !== wantedBytes) {
      throw new ManifestError('ERR_MANIFEST', `the manifest has ${bytes.length} bytes, and ${wantedBytes} by its header: it is damaged`);
    }
    const manifest = new Manifest(bytes, header);
    manifest.#checkZeroChunks();
    manifest.#digest = found;
    return manifest;
  }

  /** Digest of the file, which names image and chunk size: `blake3:` and 64 hexadecimal digits. */
  get digest(): string {
    this.#digest ??= digestOf(this.bytes);
    return this.#digest;
  }

  /** @returns the bytes of the chunk; the last one may be short */
  lengthOf(chunkIndex: number): number {
    return Math.min(this.chunkBytes, this.sizeBytes - chunkIndex * this.chunkBytes);
  }

  isZero(chunkIndex: number): boolean {
    const at = this.#at(chunkIndex);
    return native.isZero(this.bytes, at, at + digestBytes);
  }

  matches(chunkIndex: number, bytes: Uint8Array): boolean {
    const at = this.#at(chunkIndex);
    if (bytes.length !== this.lengthOf(chunkIndex)) return false;
    if (this.isZero(chunkIndex)) return native.isZero(bytes, 0, bytes.length);
    return blake3Of(bytes).compare(this.bytes, at, at + digestBytes) === 0;
  }

  #at(chunkIndex: number): number {
    if (!Number.isInteger(chunkIndex) || chunkIndex < 0 || chunkIndex >= this.chunkCount) {
      throw new RangeError(`chunk ${chunkIndex} of a manifest of ${this.chunkCount}`);
    }
    return manifestHeaderBytes + chunkIndex * digestBytes;
  }

  /** Zeros are written in one way only. Else one image would have manifests of many digests. */
  #checkZeroChunks(): void {
    const last = this.chunkCount - 1;
    const zeros = Buffer.alloc(this.lengthOf(0));
    const whole = blake3Of(zeros);
    const short = blake3Of(zeros.subarray(0, this.lengthOf(last)));
    for (let chunk = 0; chunk <= last; chunk += 1) {
      const at = this.#at(chunk);
      const ofZeros = chunk === last ? short : whole;
      if (this.bytes[at] === ofZeros[0] && ofZeros.compare(this.bytes, at, at + digestBytes) === 0) {
        throw new ManifestError(
          'ERR_MANIFEST',
          `chunk ${chunk} is all zeros, which the manifest has to mark as such: seal the image again`,
        );
      }
    }
  }
}

/** Makes a manifest, chunk by chunk, in any order. */
export class ManifestBuilder {
  readonly header: ManifestHeader;
  readonly chunkCount: number;
  readonly #bytes: Buffer;
  readonly #seen: Uint8Array;
  #seenCount = 0;

  /** @throws ManifestError `ERR_MANIFEST` if such an image can have no manifest */
  constructor(header: ManifestHeader) {
    checkHeader(header);
    this.header = header;
    this.chunkCount = chunkCountOf(header);
    this.#bytes = Buffer.alloc(manifestBytesOf(header));
    this.#seen = new Uint8Array(this.chunkCount);
    encodeHeader(this.#bytes, header);
  }

  lengthOf(chunkIndex: number): number {
    const { sizeBytes, chunkBytes } = this.header;
    return Math.min(chunkBytes, sizeBytes - chunkIndex * chunkBytes);
  }

  /** @param bytes all of the chunk; zeros are recognized */
  add(chunkIndex: number, bytes: Uint8Array): void {
    this.#see(chunkIndex);
    if (bytes.length !== this.lengthOf(chunkIndex)) throw new RangeError(`${bytes.length} bytes are not chunk ${chunkIndex}`);
    if (!native.isZero(bytes, 0, bytes.length)) blake3Of(bytes).copy(this.#bytes, manifestHeaderBytes + chunkIndex * digestBytes);
  }

  addZero(chunkIndex: number): void {
    this.#see(chunkIndex);
  }

  /** Called once every chunk was added. The builder is of no use afterwards. */
  build(): Manifest {
    if (this.#seenCount !== this.chunkCount) throw new RangeError(`${this.chunkCount - this.#seenCount} chunks are missing`);
    return Manifest.decode(this.#bytes);
  }

  #see(chunkIndex: number): void {
    if (this.#seen[chunkIndex] !== 0) throw new RangeError(`chunk ${chunkIndex} was added, or is none of ${this.chunkCount}`);
    this.#seen[chunkIndex] = 1;
    this.#seenCount += 1;
  }
}
