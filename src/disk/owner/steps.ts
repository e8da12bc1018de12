/**
 * The steps by which a disk changes its owner or its files: one at a time, in the order in which they were asked for.
 *
 * Invariants: a step begins when the one before it has ended, however that ended; `isBusy` is true until the last one
 * has ended.
 */
export class Steps {
  readonly #onEnd: () => void;
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  /** @param onEnd called whenever a step has ended */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  get isBusy(): boolean {
    return this.#count > 0;
  }

  run<T>(step: () => Promise<T>): Promise<T> {
    this.#count += 1;
    const done = this.#last.then(step).finally(() => {
      this.#count -= 1;
      this.#onEnd();
    });
    this.#last = done.catch(() => {});
    return done;
  }
}
