/**
 * The part that all read-only devices share: every change fails, and a flush has nothing to do.
 */
import { CopseError } from '../base/error.js';
import { blockSize } from './block-size.js';

export abstract class ReadOnlyDevice {
  readonly blockSize = blockSize;
  readonly #what: string;

  /** @param what subject of the error texts: "images are" */
  constructor(what: string) {
    this.#what = what;
  }

  write(): Promise<void> {
    return this.#refuse();
  }

  writeZeroes(): Promise<void> {
    return this.#refuse();
  }

  trim(): Promise<void> {
    return this.#refuse();
  }

  /** No write is accepted, so everything is durable. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  #refuse(): Promise<void> {
    return Promise.reject(new CopseError('EROFS', `${this.#what} read-only`));
  }
}
