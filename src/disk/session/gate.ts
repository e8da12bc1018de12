/**
 * Lets changes of a disk through, and holds them back while something needs it to stand still.
 *
 * Invariant: while the gate is closed nothing is inside; who waits at it goes in when it opens, in the order of arrival.
 */
export class Gate {
  #insideCount = 0;
  #closedCount = 0;
  #emptied: (() => void)[] = [];
  #opened: Promise<void> | undefined;
  #open: () => void = () => {};
  readonly #onChange: () => void;

  /** @param onChange called when it was closed, and when it was opened: before anybody waits until nobody is inside, and before anybody goes in */
  constructor(onChange: () => void = () => {}) {
    this.#onChange = onChange;
  }

  /** Whether `enter` may be called now. */
  get isOpen(): boolean {
    return this.#closedCount === 0;
  }

  /** To be called only while the gate is open, and answered by one `leave`. */
  enter(): void {
    this.#insideCount += 1;
  }

  leave(): void {
    this.#insideCount -= 1;
    if (this.#insideCount > 0) return;
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const resolve of emptied) resolve();
  }

  /** Resolves when the gate is open; it may be closed again by then. */
  async opened(): Promise<void> {
    await this.#opened;
  }

  /** Closes the gate and waits until nobody is inside. The returned function opens it again, once. */
  async close(): Promise<() => void> {
    this.#closedCount += 1;
    this.#opened ??= new Promise((resolve) => {
      this.#open = resolve;
    });
    this.#onChange();
    await this.empty();
    let closed = true;
    return () => {
      if (!closed) return;
      closed = false;
      this.#closedCount -= 1;
      if (this.#closedCount > 0) return;
      this.#opened = undefined;
      this.#open();
      this.#onChange();
    };
  }

  /** Resolves when nobody is inside. */
  async empty(): Promise<void> {
    if (this.#insideCount === 0) return;
    await new Promise<void>((resolve) => this.#emptied.push(resolve));
  }
}
