/**
 * A password, a token or a key: text that can be used but not printed.
 *
 * Invariant: `reveal` is the only way to the text. JSON, templates, logs and `util.inspect` show an
 * ellipsis.
 */
import { inspect } from 'node:util';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** @returns the text itself, for code that sends or compares it */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '…';
  }

  toJSON(): string {
    return '…';
  }

  [inspect.custom](): string {
    return 'Secret(…)';
  }
}
