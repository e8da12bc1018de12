/**
 * Chunk buffers that are used again. Fresh memory costs a page fault per 4 KiB, which at 300 MB/s
 * is a tenth of a core.
 *
 * Invariant: at most `freeLimit` unused buffers are kept.
 */
export class BufferPool {
  readonly #sizeBytes: number;
  readonly #freeLimit: number;
  readonly #free: Buffer[] = [];

  constructor(sizeBytes: number, freeLimit: number) {
    this.#sizeBytes = sizeBytes;
    this.#freeLimit = freeLimit;
  }

  /** Takes a buffer of the pool's size, with undefined content. */
  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes);
  }

  /** Gives a buffer back. The caller must not look at it afterwards. */
  give(buffer: Buffer): void {
    if (this.#free.length < this.#freeLimit) this.#free.push(buffer);
  }
}

/** One pool per chunk size, shared by all images. */
export class BufferPools {
  readonly #freeLimitBytes: number;
  readonly #pools = new Map<number, BufferPool>();

  /** @param freeLimitBytes bound on the unused bytes that are kept of each size */
  constructor(freeLimitBytes: number) {
    this.#freeLimitBytes = freeLimitBytes;
  }

  of(chunkBytes: number): BufferPool {
    let pool = this.#pools.get(chunkBytes);
    if (pool === undefined) {
      pool = new BufferPool(chunkBytes, Math.max(1, Math.floor(this.#freeLimitBytes / chunkBytes)));
      this.#pools.set(chunkBytes, pool);
    }
    return pool;
  }
}
