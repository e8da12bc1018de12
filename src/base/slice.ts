/**
 * Divides long work on the JavaScript thread, so that other work has turns in between.
 *
 * When to use: in every loop over objects whose number an operator decides, such as images, disks,
 * or chunks of a large image. Cost: one look at the clock for each `turn` until the slice is used
 * up.
 */
import { setImmediate } from 'node:timers/promises';

/** Longest piece of work, in ms. A guest's read that comes meanwhile waits for it. */
const sliceMs = 5;

export class Slice {
  #beganMs = performance.now();

  /** True if it is time to let other work have a turn. */
  get isOver(): boolean {
    return performance.now() - this.#beganMs >= sliceMs;
  }

  /** Resolves at once while the slice lasts, else after all other work had a turn. */
  async turn(): Promise<void> {
    if (!this.isOver) return;
    await setImmediate();
    this.#beganMs = performance.now();
  }
}
