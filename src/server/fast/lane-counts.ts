/**
 * Adds the requests that a native lane has answered to the counters of its export: when the
 * counters are read, and at the end of the connection.
 *
 * Invariant: each request is added once.
 */
import { LaneCount, laneCounterCount, type NativeLane } from '../../base/native/lane.js';
import type { ExportMetrics } from '../export.js';

export class LaneCounts {
  readonly #lane: NativeLane;
  readonly #metrics: ExportMetrics;
  readonly #now = new Float64Array(laneCounterCount);
  readonly #added = new Float64Array(laneCounterCount);
  readonly #fold = (): void => this.#addNew();

  /** The lane counts as a connection on the fast path until `end`. */
  constructor(lane: NativeLane, metrics: ExportMetrics) {
    this.#lane = lane;
    this.#metrics = metrics;
    metrics.fast.lanes.add(this.#fold);
  }

  end(): void {
    this.#addNew();
    this.#metrics.fast.lanes.delete(this.#fold);
  }

  #addNew(): void {
    const now = this.#now;
    const { fast, reads, writeLatency } = this.#metrics;
    this.#lane.counters(now);
    const difference = now.map((count, index) => count - (this.#added[index] ?? 0));
    this.#added.set(now);
    const of = (index: number): number => difference[index] ?? 0;
    fast.reads += of(LaneCount.reads);
    fast.coldReads += of(LaneCount.coldReads);
    fast.writes += of(LaneCount.writes);
    fast.handedUp += of(LaneCount.handedUp);
    reads.cache.count += of(LaneCount.reads);
    reads.cache.bytes += of(LaneCount.readBytes);
    reads.cache.latency.add(difference, LaneCount.readLatency, of(LaneCount.readNs) / 1e9);
    this.#metrics.writes += of(LaneCount.writes);
    this.#metrics.writtenBytes += of(LaneCount.writtenBytes);
    writeLatency.add(difference, LaneCount.writeLatency, of(LaneCount.writeNs) / 1e9);
  }
}
