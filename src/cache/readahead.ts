/**
 * Finds sequential streams among an image's misses and says what to prefetch.
 *
 * As in Linux's readahead, a stream is carried on by a marked chunk: when a reader reaches the mark inside what was prefetched, the next window is
 * asked for. Hits other than the mark cost nothing, so the hit path only looks up one small set. Random reads never meet a mark and never begin a stream:
 * their cost is one lookup a miss.
 *
 * Pure: knows no I/O. Invariant: at most `streamLimit` streams, the least recently continued is forgotten first.
 */
interface Stream {
  /** First chunk that was neither read nor prefetched for this stream. */
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
  /** The most chunks ahead of a reader; 0 turns readahead off. */
  maxWindowChunks: number;
  streamLimit?: number;
  /** Called whenever a chunk begins or ceases to be marked. */
  onMarkChange?: (chunkIndex: number, marked: boolean) => void;
}

export class Readahead {
  readonly #chunkCount: number;
  readonly #maxWindowChunks: number;
  readonly #streamLimit: number;
  /** Most recently continued last. */
  readonly #streams: Stream[] = [];
  readonly #marks = new Map<number, Stream>();

  readonly #onMarkChange: (chunkIndex: number, marked: boolean) => void;

  constructor(options: ReadaheadOptions) {
    this.#onMarkChange = options.onMarkChange ?? (() => {});
    this.#chunkCount = options.chunkCount;
    this.#maxWindowChunks = options.maxWindowChunks;
    this.#streamLimit = options.streamLimit ?? 32;
  }

  /** Whether a read that touches these chunks may have reached a mark; cheap enough for every hit. */
  isMarked(firstChunk: number, lastChunk: number): boolean {
    if (this.#marks.size === 0) return false;
    for (let chunk = firstChunk; chunk <= lastChunk; chunk += 1) if (this.#marks.has(chunk)) return true;
    return false;
  }

  /** A read touched chunks `firstChunk` to `lastChunk`, of which one is marked: continues its stream. */
  onMark(firstChunk: number, lastChunk: number): PrefetchRange | undefined {
    for (let chunk = lastChunk; chunk >= firstChunk; chunk -= 1) {
      const stream = this.#marks.get(chunk);
      if (stream === undefined) continue;
      // A read that is longer than the window is already beyond it.
      stream.nextChunk = Math.max(stream.nextChunk, lastChunk + 1);
      return this.#advance(stream);
    }
    return undefined;
  }

  /** A read missed chunks `firstChunk` to `lastChunk` (all that it touched, hits among them included). */
  onMiss(firstChunk: number, lastChunk: number): PrefetchRange | undefined {
    if (this.#maxWindowChunks === 0) return undefined;
    for (let index = this.#streams.length - 1; index >= 0; index -= 1) {
      const stream = this.#streams[index];
      if (stream === undefined) continue;
      // Sequential: begins where the stream ended. A deep queue delivers its reads slightly out of order, so one window back is still the same stream.
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
