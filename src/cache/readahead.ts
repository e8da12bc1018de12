/**
 * Finds sequential streams among an image's misses, and tells what to prefetch.
 *
 * As in Linux's readahead, a marked chunk continues a stream: when a reader reaches the mark inside
 * the prefetched window, the next window is prefetched. Hits other than the mark cost one look into
 * a small set. Random reads never meet a mark and never begin a stream; each of their misses costs
 * one lookup.
 *
 * Invariants: no I/O happens here. There are at most `streamLimit` streams; the one that was
 * continued longest ago is forgotten first.
 */
interface Stream {
  /** First chunk that the stream has neither read nor prefetched. */
  nextChunk: number;
  windowChunks: number;
  markChunk: number;
}

export interface PrefetchRange {
  firstChunk: number;
  chunkCount: number;
}

export interface ReadaheadOptions {
  chunkCount: number;
  /** Bound on the chunks ahead of a reader; 0 turns readahead off. */
  maxWindowChunks: number;
  streamLimit?: number;
  /** Called whenever a chunk gets or loses its mark. */
  onMarkChange?: (chunkIndex: number, marked: boolean) => void;
}

export class Readahead {
  readonly #chunkCount: number;
  readonly #maxWindowChunks: number;
  readonly #streamLimit: number;
  /** Streams; the most recently continued one is last. */
  readonly #streams: Stream[] = [];
  readonly #marks = new Map<number, Stream>();

  readonly #onMarkChange: (chunkIndex: number, marked: boolean) => void;

  constructor(options: ReadaheadOptions) {
    this.#onMarkChange = options.onMarkChange ?? (() => {});
    this.#chunkCount = options.chunkCount;
    this.#maxWindowChunks = options.maxWindowChunks;
    this.#streamLimit = options.streamLimit ?? 32;
  }

  /**
   * Returns true if a read of these chunks may have reached a mark. Cheap enough for every hit.
   */
  isMarked(firstChunk: number, lastChunk: number): boolean {
    if (this.#marks.size === 0) return false;
    for (let chunk = firstChunk; chunk <= lastChunk; chunk += 1) if (this.#marks.has(chunk)) return true;
    return false;
  }

  /**
   * Continues the stream of a mark among chunks `firstChunk` to `lastChunk`, which a read touched.
   */
  onMark(firstChunk: number, lastChunk: number): PrefetchRange | undefined {
    for (let chunk = lastChunk; chunk >= firstChunk; chunk -= 1) {
      const stream = this.#marks.get(chunk);
      if (stream === undefined) continue;
      // A read that is longer than the window is beyond it already.
      stream.nextChunk = Math.max(stream.nextChunk, lastChunk + 1);
      return this.#advance(stream);
    }
    return undefined;
  }

  /**
   * Begins or continues a stream after a read that missed. The chunks are all that the read
   * touched, including hits.
   */
  onMiss(firstChunk: number, lastChunk: number): PrefetchRange | undefined {
    if (this.#maxWindowChunks === 0) return undefined;
    for (let index = this.#streams.length - 1; index >= 0; index -= 1) {
      const stream = this.#streams[index];
      if (stream === undefined) continue;
      // A sequential read begins where the stream ended. A deep queue delivers its reads slightly
      // out of order, so one window back still counts.
      const slack = Math.max(1, stream.windowChunks);
      if (firstChunk <= stream.nextChunk && lastChunk >= stream.nextChunk - slack) {
        if (lastChunk < stream.nextChunk) return undefined;
        stream.nextChunk = lastChunk + 1;
        return this.#advance(stream);
      }
    }
    this.#remember({ nextChunk: lastChunk + 1, windowChunks: 0, markChunk: -1 });
    return undefined;
  }

  #advance(stream: Stream): PrefetchRange | undefined {
    this.#forget(stream);
    const windowChunks = Math.min(Math.max(1, stream.windowChunks * 2), this.#maxWindowChunks);
    const firstChunk = stream.nextChunk;
    const chunkCount = Math.min(windowChunks, this.#chunkCount - firstChunk);
    if (chunkCount <= 0) return undefined;
    this.#remember({ nextChunk: firstChunk + chunkCount, windowChunks, markChunk: firstChunk });
    return { firstChunk, chunkCount };
  }

  #remember(stream: Stream): void {
    this.#streams.push(stream);
    if (stream.markChunk >= 0) {
      if (!this.#marks.has(stream.markChunk)) this.#onMarkChange(stream.markChunk, true);
      this.#marks.set(stream.markChunk, stream);
    }
    const oldest = this.#streams.length > this.#streamLimit ? this.#streams[0] : undefined;
    if (oldest !== undefined) this.#forget(oldest);
  }

  #forget(stream: Stream): void {
    const index = this.#streams.indexOf(stream);
    if (index >= 0) this.#streams.splice(index, 1);
    if (this.#marks.get(stream.markChunk) !== stream) return;
    this.#marks.delete(stream.markChunk);
    this.#onMarkChange(stream.markChunk, false);
  }
}
