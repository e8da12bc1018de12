/**
 * Counters and latency histograms that are cheap enough for every request, and their Prometheus
 * form.
 *
 * A histogram is an array of powers of two of microseconds. An observation is one `clz32` and three
 * additions (prom-client's own takes several hundred nanoseconds). A scrape turns it into
 * Prometheus buckets.
 */

/** Upper bounds of the buckets in seconds: 2^0 µs to 2^25 µs (34 s), then +Inf. */
export const latencyBucketSeconds: readonly number[] = Array.from({ length: 26 }, (_, index) => 2 ** index / 1e6);

export class LatencyHistogram {
  /** Count of observations at or below each bound and above the one before; the last is +Inf. */
  readonly counts = new Float64Array(latencyBucketSeconds.length + 1);
  sumSeconds = 0;
  count = 0;

  /** @param durationMs zero or more milliseconds, fractions welcome */
  observe(durationMs: number, times = 1): void {
    const us = durationMs * 1000;
    const index = us <= 1 ? 0 : Math.min(32 - Math.clz32(Math.ceil(us) - 1), latencyBucketSeconds.length);
    this.counts[index] = (this.counts[index] ?? 0) + times;
    this.sumSeconds += (durationMs / 1000) * times;
    this.count += times;
  }

  /** Adds observations of another counter: a count for each bucket, from `start` on. */
  add(counts: Float64Array, start: number, sumSeconds: number): void {
    for (let index = 0; index < this.counts.length; index += 1) {
      const count = counts[start + index] ?? 0;
      this.counts[index] = (this.counts[index] ?? 0) + count;
      this.count += count;
    }
    this.sumSeconds += sumSeconds;
  }

  /** Adds the observations of another histogram. */
  merge(other: LatencyHistogram): void {
    if (other.count > 0) this.add(other.counts, 0, other.sumSeconds);
  }

  /**
   * @returns the least bucket bound, in seconds, that covers the share `quantile` (0 to 1) of the
   * observations; 0 if there are none
   */
  quantileSeconds(quantile: number): number {
    let left = this.count * quantile;
    for (let index = 0; index < latencyBucketSeconds.length; index += 1) {
      left -= this.counts[index] ?? 0;
      if (left <= 0) return this.count === 0 ? 0 : (latencyBucketSeconds[index] ?? 0);
    }
    return Number.POSITIVE_INFINITY;
  }
}
