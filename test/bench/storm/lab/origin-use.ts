/** What an origin sent, told apart: chunks that the guests touched, and what was read beyond them. */
import type { Trace } from '../../harness/trace.js';

export interface SentRange {
  offset: number;
  /** As far as it was sent. */
  lengthBytes: number;
}

export interface OriginUse {
  requests: number;
  /** Of chunks that the trace touches, each time they were sent. */
  touchedBytes: number;
  /** Of other chunks: readahead. */
  beyondBytes: number;
  /** Unique bytes of those. */
  uniqueBeyondBytes: number;
}

/** Indices of the chunks that the trace's reads touch. */
export function touchedChunks(trace: Pick<Trace, 'reads'>, chunkBytes: number): Set<number> {
  const touched = new Set<number>();
  for (const { offset, lengthBytes } of trace.reads) {
    for (let index = Math.floor(offset / chunkBytes); index * chunkBytes < offset + lengthBytes; index += 1) touched.add(index);
  }
  return touched;
}

export function tellApart(ranges: readonly SentRange[], touched: ReadonlySet<number>, chunkBytes: number): OriginUse {
  const use = { requests: ranges.length, touchedBytes: 0, beyondBytes: 0 };
  const most = new Map<number, number>(); // of each chunk beyond: the most of it that was sent at once
  for (const { offset, lengthBytes } of ranges) {
    const end = offset + lengthBytes;
    for (let at = offset; at < end; ) {
      const index = Math.floor(at / chunkBytes);
      const part = Math.min(end, (index + 1) * chunkBytes) - at;
      if (touched.has(index)) use.touchedBytes += part;
      else {
        use.beyondBytes += part;
        most.set(index, Math.max(most.get(index) ?? 0, part));
      }
      at += part;
    }
  }
  return { ...use, uniqueBeyondBytes: [...most.values()].reduce((sum, part) => sum + part, 0) };
}
