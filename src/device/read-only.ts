/** What all read-only devices answer alike: nothing is written, so there is nothing to flush. */
import { CopseError } from '../base/error.js';
import { blockSize } from './block-size.js';

export abstract class ReadOnlyDevice {
  readonly blockSize = blockSize;
  readonly #what: string;

  /** @param what of errors: "images are" */
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

  /** Nothing was written, so everything is durable. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  #refuse(): Promise<void> {
    return Promise.reject(new CopseError('EROFS', `${this.#what} read-only`));
  }
}
