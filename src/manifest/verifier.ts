/** What tells right chunks from wrong ones, as cache and cluster see it. A manifest implements it. */
export interface ChunkVerifier {
  readonly chunkBytes: number;
  /** The chunk is all zeros: it need not be asked of anybody. */
  isZero(chunkIndex: number): boolean;
  /** Whether `bytes`, the whole chunk, is what the image has there. */
  matches(chunkIndex: number, bytes: Uint8Array): boolean;
}
