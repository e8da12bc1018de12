/**
 * The bytes of a manifest, version 1. Little endian; nothing between the parts, nothing behind the
 * last.
 *
 *     offset  bytes
 *          0     16   magic: "copse-manifest" CR LF (a transfer as text breaks it)
 *         16      4   version: 1
 *         20      4   chunk size: a power of two from 64 KiB to 1 MiB
 *         24      8   size of the image: 1 to 2^53 - 1, at most 2^22 chunks
 *         32   32 × n one digest per chunk: BLAKE3-256 of its bytes; 32 zero bytes for zeros
 *
 * Invariant: one image and one chunk size have exactly one manifest, so its digest names them.
 *
 * Source: docs/reference/manifest.md.
 */
import { isChunkSize } from '../base/chunk-size.js';
import { digestBytes } from '../base/digest.js';
import { CopseError } from '../base/error.js';

export const manifestHeaderBytes = 32;
/** 1 TiB in chunks of 256 KiB, 4 TiB in chunks of 1 MiB. */
export const maxChunkCount = 2 ** 22;
/** Length of the largest manifest, 128 MiB. A longer file need not be read. */
export const maxManifestBytes = manifestHeaderBytes + maxChunkCount * digestBytes;

const magic = Buffer.from('copse-manifest\r\n', 'latin1');
const version = 1;

/**
 * - `ERR_MANIFEST`: the bytes are no manifest, one of another version, or one of another image.
 * - `ERR_DIGEST_MISMATCH`: it is not the manifest that the digest names.
 */
export class ManifestError extends CopseError {
  declare readonly code: 'ERR_MANIFEST' | 'ERR_DIGEST_MISMATCH';
}

export interface ManifestHeader {
  sizeBytes: number;
  chunkBytes: number;
}

export function chunkCountOf({ sizeBytes, chunkBytes }: ManifestHeader): number {
  return Math.ceil(sizeBytes / chunkBytes);
}

/** @returns the length of the manifest of such an image, in bytes */
export function manifestBytesOf(header: ManifestHeader): number {
  return manifestHeaderBytes + chunkCountOf(header) * digestBytes;
}

/** @throws ManifestError `ERR_MANIFEST` if such an image can have no manifest */
export function checkHeader(header: ManifestHeader): void {
  const { sizeBytes, chunkBytes } = header;
  if (!isChunkSize(chunkBytes)) {
    throw new ManifestError('ERR_MANIFEST', `chunks of ${chunkBytes} bytes: a manifest has chunks of a power of two from 64K to 1M`);
  }
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
    throw new ManifestError('ERR_MANIFEST', `an image of ${sizeBytes} bytes has no manifest`);
  }
  if (chunkCountOf(header) > maxChunkCount) {
    throw new ManifestError(
      'ERR_MANIFEST',
      `${sizeBytes} bytes in chunks of ${chunkBytes} are more than ${maxChunkCount} chunks: seal with larger chunks`,
    );
  }
}

/** Writes the header to the first 32 bytes. */
export function encodeHeader(target: Buffer, { sizeBytes, chunkBytes }: ManifestHeader): void {
  magic.copy(target, 0);
  target.writeUInt32LE(version, 16);
  target.writeUInt32LE(chunkBytes, 20);
  target.writeBigUInt64LE(BigInt(sizeBytes), 24);
}

/**
 * Reads the first 32 bytes and nothing else.
 *
 * @throws ManifestError `ERR_MANIFEST`
 */
export function decodeHeader(bytes: Buffer): ManifestHeader {
  if (bytes.length < manifestHeaderBytes || !bytes.subarray(0, magic.length).equals(magic)) {
    throw new ManifestError('ERR_MANIFEST', 'this is no manifest: make one by "copse image seal"');
  }
  const found = bytes.readUInt32LE(16);
  if (found !== version) {
    throw new ManifestError(
      'ERR_MANIFEST',
      `a manifest of version ${found}, this copse reads version ${version}: use the one that wrote it`,
    );
  }
  const sizeBytes = bytes.readBigUInt64LE(24);
  if (sizeBytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ManifestError('ERR_MANIFEST', `an image of ${sizeBytes} bytes is beyond 2^53`);
  }
  const header = { sizeBytes: Number(sizeBytes), chunkBytes: bytes.readUInt32LE(20) };
  checkHeader(header);
  return header;
}
