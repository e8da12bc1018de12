/** Runs tasks one at a time, in the order in which they were given. A task that fails does not stop those behind it. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();

  /** @returns what the task resolves to, or rejects with */
  run<T>(task: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(task);
    this.#last = done.catch(() => {});
    return done;
  }
}
