/**
 * The bytes that a disk may read as, block by block, while clients of several nodes write at once.
 *
 * Each write has a beginning and an end. A read may bring a write's bytes unless another write was acknowledged that
 * began after the end of the first and ended before the read began. A write that failed may have been done.
 */
import { blockBytes } from '../../../src/base/native/overlay.js';

interface Write {
  tag: number;
  begin: number;
  /** Infinite while it is under way. */
  end: number;
  acknowledged: boolean;
}

export class BlockModel {
  readonly #blocks: Write[][];
  /** Beginnings of reads that are under way. */
  readonly #reads = new Set<number>();
  #moment = 0;
  #lastTag = 0;

  constructor(blockCount: number) {
    this.#blocks = Array.from({ length: blockCount }, () => [{ tag: 0, begin: 0, end: 0, acknowledged: true }]);
  }

  get blockCount(): number {
    return this.#blocks.length;
  }

  /** A write begins. @returns its bytes, and the function to be called at its end */
  write(first: number, count: number): { bytes: Buffer; end(acknowledged: boolean): void } {
    this.#lastTag += 1;
    const write: Write = { tag: this.#lastTag, begin: this.#tick(), end: Number.POSITIVE_INFINITY, acknowledged: false };
    for (const writes of this.#blocks.slice(first, first + count)) writes.push(write);
    const end = (acknowledged: boolean): void => {
      write.end = this.#tick();
      write.acknowledged = acknowledged;
    };
    return { bytes: fill(count, write.tag), end };
  }

  /** A read begins. The returned function tells the faults of the bytes that it brought. */
  read(first: number, count: number): (bytes: Buffer) => string[] {
    const begin = this.#tick();
    this.#reads.add(begin);
    const allowed = this.#blocks.slice(first, first + count).map((writes) => [...allowedAt(writes, begin)]);
    return (bytes) => {
      const end = this.#tick();
      this.#reads.delete(begin);
      return allowed.flatMap((tags, index) => {
        const piece = bytes.subarray(index * blockBytes, (index + 1) * blockBytes);
        const tag = piece.readUInt32LE(0);
        const writes = this.#blocks[first + index] ?? [];
        const later = writes.filter((write) => write.begin > begin && write.begin < end).map((write) => write.tag);
        if (piece.equals(fill(1, tag)) && [...tags, ...later].includes(tag)) return [];
        return [`block ${first + index}: ${tag}, not one of ${[...tags, ...later].join(' ')}`];
      });
    };
  }

  #tick(): number {
    this.#moment += 1;
    // Those that no read may bring any more.
    if (this.#moment % 256 === 0) {
      const oldest = Math.min(this.#moment, ...this.#reads);
      for (const writes of this.#blocks) {
        const since = latestBegin(writes, oldest);
        writes.splice(0, writes.length, ...writes.filter((write) => write.end >= since));
      }
    }
    return this.#moment;
  }
}

function allowedAt(writes: readonly Write[], moment: number): number[] {
  const since = latestBegin(writes, moment);
  return writes.filter((write) => write.end >= since).map(({ tag }) => tag);
}

/** Of the writes that were acknowledged by then. */
function latestBegin(writes: readonly Write[], moment: number): number {
  return Math.max(0, ...writes.filter((write) => write.acknowledged && write.end < moment).map(({ begin }) => begin));
}

function fill(blockCount: number, tag: number): Buffer {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32LE(tag);
  return Buffer.alloc(blockCount * blockBytes, pattern);
}
