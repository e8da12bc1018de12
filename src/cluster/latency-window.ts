/**
 * Recent latencies of one kind of request: quantiles over the last samples, which are forgotten by
 * number and by age.
 *
 * It is a ring of samples and a histogram of them in logarithmic steps. An observation costs one
 * step in and some out, one on average. A quantile walks the histogram.
 *
 * Invariants: a quantile is never below the true one of the samples, so a hedge is never early. It
 * is at most 4.5 % above, between 1 µs and 134 s. Beyond that range it stays at the border. Memory
 * is 1 KiB and 10 bytes per sample, because there is one window per peer and content.
 */
import type { Clock } from '../base/clock.js';

const stepsPerOctave = 16;
/** Steps from 1 µs to 2^27 µs. */
const stepCount = 27 * stepsPerOctave + 1;

export interface LatencyWindowOptions {
  clock: Clock;
  /** Age beyond which samples are forgotten, in ms. */
  windowMs?: number;
  /** Most samples, 1 to 65 535. */
  sampleLimit?: number;
}

export class LatencyWindow {
  readonly #clock: Clock;
  readonly #windowMs: number;
  readonly #observedAtMs: Float64Array;
  readonly #steps: Uint16Array;
  /** Samples by step. */
  readonly #histogram = new Uint16Array(stepCount);
  #oldest = 0;
  #count = 0;

  constructor({ clock, windowMs = 60_000, sampleLimit = 128 }: LatencyWindowOptions) {
    this.#clock = clock;
    this.#windowMs = windowMs;
    this.#observedAtMs = new Float64Array(sampleLimit);
    this.#steps = new Uint16Array(sampleLimit);
  }

  /** Samples within the window. */
  get count(): number {
    this.#forgetOld();
    return this.#count;
  }

  /** Median, in ms; `undefined` without samples. */
  get p50Ms(): number | undefined {
    return this.quantileMs(0.5);
  }

  /** 95th percentile, in ms; `undefined` without samples. */
  get p95Ms(): number | undefined {
    return this.quantileMs(0.95);
  }

  /** @param latencyMs not negative */
  observe(latencyMs: number): void {
    this.#forgetOld();
    if (this.#count === this.#steps.length) this.#forgetOldest();
    const at = (this.#oldest + this.#count) % this.#steps.length;
    const step = stepOf(latencyMs);
    this.#observedAtMs[at] = this.#clock.nowMs();
    this.#steps[at] = step;
    this.#histogram[step] = (this.#histogram[step] ?? 0) + 1;
    this.#count += 1;
  }

  /**
   * The least latency that at least this share of the samples do not exceed; `undefined` without
   * samples.
   *
   * @param share above 0, up to 1
   */
  quantileMs(share: number): number | undefined {
    this.#forgetOld();
    if (this.#count === 0) return undefined;
    let missing = Math.ceil(share * this.#count);
    let step = 0;
    for (; step < stepCount; step += 1) {
      missing -= this.#histogram[step] ?? 0;
      if (missing <= 0) break;
    }
    return topOf(step);
  }

  #forgetOld(): void {
    const sinceMs = this.#clock.nowMs() - this.#windowMs;
    while (this.#count > 0 && (this.#observedAtMs[this.#oldest] ?? 0) < sinceMs) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const step = this.#steps[this.#oldest] ?? 0;
    this.#histogram[step] = (this.#histogram[step] ?? 0) - 1;
    this.#oldest = (this.#oldest + 1) % this.#steps.length;
    this.#count -= 1;
  }
}

/** @returns the step whose top is the first at or above the latency */
function stepOf(latencyMs: number): number {
  if (latencyMs <= 0.001) return 0;
  const step = Math.ceil(Math.log2(latencyMs * 1000) * stepsPerOctave);
  // A logarithm may be rounded to the wrong side.
  return Math.min(topOf(step) < latencyMs ? step + 1 : step, stepCount - 1);
}

function topOf(step: number): number {
  return 2 ** (step / stepsPerOctave) / 1000;
}
