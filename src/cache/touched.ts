/** Which chunks guests have read since the daemon started: what a boot needs, and so what a cluster must hold to do without the origin. */
export class TouchedChunks {
  readonly #bits: Uint8Array;
  count = 0;

  constructor(chunkCount: number) {
    this.#bits = new Uint8Array(Math.ceil(chunkCount / 8));
  }

  /** On the hit path: a look at one byte a chunk. */
  mark(firstChunk: number, lastChunk: number): void {
    for (let chunk = firstChunk; chunk <= lastChunk; chunk += 1) {
      const bits = this.#bits[chunk >> 3] ?? 0;
      const bit = 1 << (chunk & 7);
      if ((bits & bit) !== 0) continue;
      this.#bits[chunk >> 3] = bits | bit;
      this.count += 1;
    }
  }

  has(chunkIndex: number): boolean {
    return ((this.#bits[chunkIndex >> 3] ?? 0) & (1 << (chunkIndex & 7))) !== 0;
  }
}
