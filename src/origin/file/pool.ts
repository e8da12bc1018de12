/**
 * Buffers that reads of files pass through on their way to a sink. They are reused, because
 * allocating and clearing one costs as much as the copy.
 *
 * Invariants: a buffer has one user at a time; at most `keptCount` lie idle.
 */
export class PiecePool {
  readonly pieceBytes: number;
  readonly #keptCount: number;
  readonly #idle: Buffer[] = [];

  constructor(pieceBytes: number, keptCount: number) {
    this.pieceBytes = pieceBytes;
    this.#keptCount = keptCount;
  }

  take(): Buffer {
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(this.pieceBytes);
  }

  /** Returns a buffer. No thread, native ones included, may touch it any more. */
  give(piece: Buffer): void {
    if (this.#idle.length < this.#keptCount) this.#idle.push(piece);
  }
}
