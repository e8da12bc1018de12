import { CopseError } from '../base/error.js';

/**
 * A program answers at a peer's address, but this node can't talk to it. Code
 * `ERR_PEER_INCOMPATIBLE`.
 */
export class IncompatibleError extends CopseError {
  readonly id: string | undefined;
  readonly version: string | undefined;

  constructor(message: string, who: { id?: string; version?: string } = {}, options?: { cause?: unknown }) {
    super('ERR_PEER_INCOMPATIBLE', message, options);
    this.id = who.id;
    this.version = who.version;
  }
}
