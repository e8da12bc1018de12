/**
 * What requests of a kind take just now: quantiles over the last ones.
 *
 * A ring of samples and a histogram of them in logarithmic steps: observing costs one step in and one out, a quantile walks the histogram.
 *
 * Invariants: a quantile is never below the true one of the samples (so that a hedge is never early), and at most 4.5 % above it, between 1 µs and 134 s, beyond which
 * it stays; memory is less than 2 KiB, since there is one a peer and content.
 */
const stepsPerOctave = 16;
/** From 1 µs to 2^27 µs. */
const stepCount = 27 * stepsPerOctave + 1;

export class LatencyWindow {
  /** The step of each sample. */
  readonly #ring: Uint16Array;
  /** Samples by step. */
  readonly #histogram = new Uint8Array(stepCount);
  #next = 0;
  #count = 0;

  /** @param sampleLimit how many of the last samples count, 1 to 255 */
  constructor(sampleLimit = 128) {
    this.#ring = new Uint16Array(sampleLimit);
  }

  /** Samples that count. */
  get count(): number {
    return this.#count;
  }

  /** @param latencyMs not negative */
  observe(latencyMs: number): void {
    const step = stepOf(latencyMs);
    if (this.#count === this.#ring.length) this.#add(this.#ring[this.#next] ?? 0, -1);
    else this.#count += 1;
    this.#add(step, 1);
    this.#ring[this.#next] = step;
    this.#next = (this.#next + 1) % this.#ring.length;
  }

  /** Milliseconds; `undefined` without samples. */
  p50(): number | undefined {
    return this.quantile(0.5);
  }

  /** Milliseconds; `undefined` without samples. */
  p95(): number | undefined {
    return this.quantile(0.95);
  }

  /**
   * The least latency, in milliseconds, that at least this share of the samples do not exceed; `undefined` without samples.
   *
   * @param share above 0, up to 1
   */
  quantile(share: number): number | undefined {
    if (this.#count === 0) return undefined;
    let missing = Math.ceil(share * this.#count);
    let step = 0;
    for (; step < stepCount; step += 1) {
      missing -= this.#histogram[step] ?? 0;
      if (missing <= 0) break;
    }
    return topOf(step);
  }

  #add(step: number, count: number): void {
    this.#histogram[step] = (this.#histogram[step] ?? 0) + count;
  }
}

/** The step whose top is the first at or above the latency. */
function stepOf(latencyMs: number): number {
  if (latencyMs <= 0.001) return 0;
  const step = Math.ceil(Math.log2(latencyMs * 1000) * stepsPerOctave);
  // A logarithm may be rounded to the wrong side.
  return Math.min(topOf(step) < latencyMs ? step + 1 : step, stepCount - 1);
}

function topOf(step: number): number {
  return 2 ** (step / stepsPerOctave) / 1000;
}
