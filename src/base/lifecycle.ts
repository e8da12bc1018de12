/** Closes opened parts in reverse order, each once. A failure keeps no other part open. */

export interface Closeable {
  close(): Promise<void> | void;
}

export class Lifecycle implements Closeable {
  readonly #open: Closeable[] = [];

  /** Registers `part` to be closed after all parts that are registered later. Returns it. */
  own<T extends Closeable>(part: T): T {
    this.#open.push(part);
    return part;
  }

  /** @throws AggregateError of all failures, after each part was tried */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let part = this.#open.pop(); part !== undefined; part = this.#open.pop()) {
      try {
        await part.close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} parts did not close cleanly`);
  }
}
