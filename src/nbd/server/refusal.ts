/** An option that is answered with an error; the handshake goes on. */
import { type ContextName, OptionReply } from '../codec/constant.js';

export class Refusal extends Error {
  /** Reply type of the error, an `OptionReply.ERR_…`. */
  readonly type: number;

  constructor(type: number, message: string) {
    super(message);
    this.type = type;
  }
}

/** Contexts that a client has selected, with the ids that the server gave them. */
export type SelectedContexts = ReadonlyMap<ContextName, number>;

/** @throws Refusal if data came with an option that takes none */
export function refuseData(data: Buffer, option: string): void {
  if (data.length > 0) throw new Refusal(OptionReply.ERR_INVALID, `${option} takes no data, ${data.length} bytes came with it`);
}
