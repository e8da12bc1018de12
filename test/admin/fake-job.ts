/** Script of a fake control: whether its calls and jobs fail, hang or go on. */

import { AbortedError } from '../../src/base/error.js';
import type { JobOptions, Progress } from '../../src/base/job.js';

export class FakeJobs {
  /** Thrown by every call when set. */
  failure: unknown;
  /** Progress steps of a job before its end. */
  stepCount = 3;
  /** A job that stays under way until it is aborted. */
  hangs = false;
  /** Thrown by a job after its first progress. */
  jobFailure: unknown;
  /** Resolves when a job was aborted. */
  readonly aborted: Promise<void>;
  #onAborted = (): void => {};

  constructor() {
    this.aborted = new Promise((resolve) => {
      this.#onAborted = resolve;
    });
  }

  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  async run(title: string, totalBytes: number, { signal, onProgress }: JobOptions): Promise<Progress> {
    onProgress({ doneBytes: 0, totalBytes });
    if (this.jobFailure !== undefined) throw this.jobFailure;
    if (this.hangs) {
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      this.#onAborted();
      throw new AbortedError(title);
    }
    for (let step = 1; step <= this.stepCount; step += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      onProgress({ doneBytes: (totalBytes / this.stepCount) * step, totalBytes });
    }
    return { doneBytes: totalBytes, totalBytes };
  }
}
