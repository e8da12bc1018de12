/**
 * The content that all nodes serve: large by its offsets, so that it has many extents, but only a few chunks of each are ever read.
 */

import { extentBytes } from '../../src/cluster/placement.js';
import type { ChunkVerifier } from '../../src/manifest/verifier.js';

export const chunkBytes = 4096;
const extentChunks = extentBytes / chunkBytes;

export class Image implements ChunkVerifier {
  readonly id = '0123456789abcdef0123456789abcdef';
  readonly chunkBytes = chunkBytes;
  readonly sizeBytes: number;
  readonly chunkCount: number;
  /** Chunks that guests read, neighbours within an extent. */
  readonly active: readonly number[];
  readonly #known = new Map<number, Buffer>();

  constructor(extentCount: number, activePerExtent: number) {
    this.sizeBytes = extentCount * extentBytes;
    this.chunkCount = this.sizeBytes / chunkBytes;
    this.active = Array.from({ length: extentCount * activePerExtent }, (_, index) => {
      return Math.floor(index / activePerExtent) * extentChunks + (index % activePerExtent);
    });
  }

  /** Its right bytes; nobody's to write. */
  chunk(chunkIndex: number): Buffer {
    let bytes = this.#known.get(chunkIndex);
    if (bytes === undefined) {
      bytes = Buffer.alloc(chunkBytes);
      if (!this.isZero(chunkIndex)) bytes.fill(`chunk ${chunkIndex}, `);
      this.#known.set(chunkIndex, bytes);
    }
    return bytes;
  }

  isZero(chunkIndex: number): boolean {
    return chunkIndex % 11 === 7;
  }

  matches(chunkIndex: number, bytes: Uint8Array): boolean {
    return this.chunk(chunkIndex).equals(bytes);
  }

  copy(target: Uint8Array, targetStart: number, lengthBytes: number, offset: number): void {
    for (let at = offset; at < offset + lengthBytes; ) {
      const chunkIndex = Math.floor(at / chunkBytes);
      const end = Math.min(offset + lengthBytes, (chunkIndex + 1) * chunkBytes);
      this.chunk(chunkIndex).copy(target, targetStart + at - offset, at - chunkIndex * chunkBytes, end - chunkIndex * chunkBytes);
      at = end;
    }
  }

  /** Indices of the chunks that a range touches. */
  *chunksOf(offset: number, lengthBytes: number): Generator<number> {
    for (let chunk = Math.floor(offset / chunkBytes); chunk * chunkBytes < offset + lengthBytes; chunk += 1) yield chunk;
  }
}
