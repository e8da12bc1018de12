/**
 * The known zeros of an export. They are fetched segment by segment, one fetch for all callers, and
 * remembered within a bound.
 *
 * Invariant: `zero` stands only for what the server called zero. Ranges that are unknown, refused
 * or too ragged to remember count as data.
 */
import { mergeExtent } from '../../block/merge-extent.js';
export interface AllocationExtent {
  lengthBytes: number;
  zero: boolean;
}

/**
 * Answers with at least one extent from `offset`, never beyond the range, perhaps ending before it
 * does.
 */
export type FetchAllocation = (offset: number, lengthBytes: number) => Promise<AllocationExtent[]>;

export interface AllocationOptions {
  /** Default 128 MiB: one round trip each if the server answers for all of it. */
  segmentBytes?: number | undefined;
  /** Bound on the memory, in numbers of 8 bytes; default 65 536. */
  maxNumbers?: number | undefined;
}

/** Ends of runs, ascending. Data and zero take turns, and the first (perhaps empty) is data. */
type Segment = Float64Array;

const maxRunsPerSegment = 8192;
const maxFetchesPerSegment = 64;
const segmentOverhead = 32;

export class AllocationMap {
  readonly #sizeBytes: number;
  readonly #segmentBytes: number;
  readonly #maxNumbers: number;
  readonly #fetching = new Map<number, Promise<Segment>>();
  /** Segments, least recently used first. */
  readonly #known = new Map<number, Segment>();
  #numbers = 0;

  constructor(sizeBytes: number, options: AllocationOptions = {}) {
    this.#sizeBytes = sizeBytes;
    this.#segmentBytes = options.segmentBytes ?? 128 * 1024 * 1024;
    this.#maxNumbers = options.maxNumbers ?? 65_536;
  }

  /**
   * @param fetch is called for unknown segments; its rejection is passed on, and nothing is
   * remembered
   * @returns the runs of a range; neighbours differ, and zeros shorter than `minZeroBytes` count as
   * data
   */
  async runs(offset: number, lengthBytes: number, minZeroBytes: number, fetch: FetchAllocation): Promise<AllocationExtent[]> {
    const runs: AllocationExtent[] = [];
    const end = offset + lengthBytes;
    for (let index = Math.floor(offset / this.#segmentBytes); index * this.#segmentBytes < end; index += 1) {
      const segment = this.#recall(index) ?? (await this.#fetch(index, fetch));
      let start = index * this.#segmentBytes;
      segment.forEach((runEnd, runIndex) => {
        const runBytes = Math.min(runEnd, end) - Math.max(start, offset);
        if (runBytes > 0) append(runs, runBytes, runIndex % 2 === 1);
        start = runEnd;
      });
    }
    if (!runs.some((run) => run.zero && run.lengthBytes < minZeroBytes)) return runs;
    const merged: AllocationExtent[] = [];
    for (const run of runs) append(merged, run.lengthBytes, run.zero && (run.lengthBytes >= minZeroBytes || runs.length === 1));
    return merged;
  }

  #recall(index: number): Segment | undefined {
    const segment = this.#known.get(index);
    if (segment === undefined) return undefined;
    this.#known.delete(index);
    this.#known.set(index, segment);
    return segment;
  }

  #fetch(index: number, fetch: FetchAllocation): Promise<Segment> {
    const under = this.#fetching.get(index);
    if (under !== undefined) return under;
    const fetching = this.#fetchSegment(index, fetch).finally(() => this.#fetching.delete(index));
    this.#fetching.set(index, fetching);
    return fetching;
  }

  async #fetchSegment(index: number, fetch: FetchAllocation): Promise<Segment> {
    const start = index * this.#segmentBytes;
    const end = Math.min(start + this.#segmentBytes, this.#sizeBytes);
    const runs: AllocationExtent[] = [];
    let at = start;
    for (let count = 0; at < end && count < maxFetchesPerSegment && runs.length < maxRunsPerSegment; count += 1) {
      for (const extent of await fetch(at, end - at)) {
        const extentBytes = Math.min(extent.lengthBytes, end - at);
        append(runs, extentBytes, extent.zero);
        at += extentBytes;
      }
    }
    if (at < end) append(runs, end - at, false);
    const segment = encode(start, runs);
    this.#remember(index, segment);
    return segment;
  }

  #remember(index: number, segment: Segment): void {
    this.#known.set(index, segment);
    this.#numbers += segment.length + segmentOverhead;
    for (const [oldest, old] of this.#known) {
      if (this.#numbers <= this.#maxNumbers || oldest === index) break;
      this.#known.delete(oldest);
      this.#numbers -= old.length + segmentOverhead;
    }
  }
}

function append(runs: AllocationExtent[], lengthBytes: number, zero: boolean): void {
  mergeExtent(runs, { lengthBytes, zero }, (last) => last.zero === zero);
}

function encode(start: number, runs: AllocationExtent[]): Segment {
  const ends: number[] = runs[0]?.zero ? [start] : [];
  let at = start;
  for (const run of runs) {
    at += run.lengthBytes;
    ends.push(at);
  }
  return Float64Array.from(ends);
}
