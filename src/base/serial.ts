/**
 * Runs tasks one at a time, in the order in which they were given. A failed task does not stop the
 * tasks behind it.
 */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** Settles as the task does. */
  run<T>(task: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(task);
    this.#last = done.catch(() => {});
    return done;
  }
}
