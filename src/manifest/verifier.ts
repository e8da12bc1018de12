/** Tells right chunks from wrong ones, for cache and cluster. A manifest implements it. */
export interface ChunkVerifier {
  readonly chunkBytes: number;
  /** True if the chunk is all zeros: it need not be fetched. */
  isZero(chunkIndex: number): boolean;
  /** True if `bytes`, the whole chunk, are the image's. */
  matches(chunkIndex: number, bytes: Uint8Array): boolean;
}
