/**
 * The server's side of the handshake over any duplex stream: fixed newstyle, from the first magic
 * to the session.
 *
 * `HandshakeBudget` bounds its time, bytes and number of options. Each option is answered with as
 * few writes as possible. The next one is read when the client has taken the answer.
 *
 * Source: doc/proto.md, "Newstyle negotiation", "Fixed newstyle negotiation".
 */
import type { Duplex } from 'node:stream';
import { waitFor } from '../../base/deadline.js';
import {
  ClientFlag,
  HandshakeFlag,
  INIT_MAGIC,
  MAX_STRING_BYTES,
  OPTION_BYTES,
  OPTION_MAGIC,
  Option,
  OptionReply,
} from '../codec/constant.js';
import { NbdProtocolError } from '../codec/error.js';
import { decodeOptionHeader } from '../codec/option.js';
import { uint16 } from '../codec/payload.js';
import { HandshakeBudget } from './budget.js';
import type { HandshakeDirectory, HandshakeOptions, Session } from './contract.js';
import { HandshakeChannel } from './handshake-channel.js';
import { Negotiation, type Outcome } from './negotiation.js';

export { MAX_OPTION_COUNT } from './budget.js';
export type { ExportFacts, HandshakeDirectory, HandshakeExport, HandshakeOptions, Session } from './contract.js';

/**
 * Bound on the data of one option: room for a name and a dozen of the longest queries. More is
 * skipped and answered with ERR_TOO_BIG.
 */
export const MAX_OPTION_DATA_BYTES = 64 * 1024;
/**
 * Bound on the input of one handshake. It includes skipped data, but not questions about existing
 * exports.
 */
export const MAX_HANDSHAKE_BYTES = 4 * 1024 * 1024;

/**
 * Negotiates with the client at the other end of `stream`.
 *
 * The stream stays the caller's, which has an `error` listener on it. The caller ends it on
 * `undefined` and destroys it on a rejection. After a session its bytes go on from `leftover`.
 *
 * @returns `undefined` if the client left in order: ABORT, or end of stream between options
 * @throws NbdProtocolError on garbage; NbdRefusedError if an EXPORT_NAME can't be satisfied;
 * NbdDisconnectedError, `ERR_DEADLINE`, `ERR_ABORTED`
 */
export async function negotiate<E>(
  stream: Duplex,
  directory: HandshakeDirectory<E>,
  options: HandshakeOptions,
): Promise<Session<E> | undefined> {
  const channel = new HandshakeChannel(stream, 'client', MAX_HANDSHAKE_BYTES);
  const budget = new HandshakeBudget({ ...options, onReturn: (bytes) => channel.allow(bytes) });
  const work = haggle(channel, directory, budget);
  let outcome: Outcome<E>;
  try {
    outcome = await waitFor('NBD handshake', Promise.race([work, budget.expired]), { signal: options.signal });
  } catch (error) {
    channel.fail(error instanceof Error ? error : new NbdProtocolError('handshake failed', { cause: error }));
    channel.release();
    // The work may still open an export, which has no owner then.
    work.then(
      (late) => late !== undefined && late !== 'aborted' && late.export.release(),
      () => {},
    );
    throw error;
  } finally {
    budget.close();
  }
  const leftover = channel.release();
  return outcome === undefined || outcome === 'aborted' ? undefined : { ...outcome, leftover };
}

async function haggle<E>(channel: HandshakeChannel, directory: HandshakeDirectory<E>, budget: HandshakeBudget): Promise<Outcome<E>> {
  await channel.put(Buffer.concat([INIT_MAGIC, OPTION_MAGIC, uint16(HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES)]));
  await channel.flush();
  const flags = (await channel.read(4))?.readUInt32BE();
  if (flags === undefined) return undefined;
  if ((flags & ~(ClientFlag.FIXED_NEWSTYLE | ClientFlag.NO_ZEROES)) !== 0) {
    throw new NbdProtocolError(`client sent flags 0x${flags.toString(16)}, some of which are unknown`);
  }
  const negotiation = new Negotiation(channel, directory, budget, (flags & ClientFlag.NO_ZEROES) === 0);
  for (;;) {
    const header = await channel.read(OPTION_BYTES);
    if (header === undefined) return undefined;
    budget.spend();
    const { option, lengthBytes } = decodeOptionHeader(header);
    if (option === Option.EXPORT_NAME ? lengthBytes > MAX_STRING_BYTES : (flags & ClientFlag.FIXED_NEWSTYLE) === 0) {
      throw new NbdProtocolError(`client sent option ${option} with ${lengthBytes} bytes, which can't be answered`);
    }
    if (lengthBytes > MAX_OPTION_DATA_BYTES && option !== Option.ABORT) {
      await channel.skip(lengthBytes);
      await negotiation.refuse(option, OptionReply.ERR_TOO_BIG, `${lengthBytes} bytes of data, at most ${MAX_OPTION_DATA_BYTES} are taken`);
      continue;
    }
    // ABORT's data is skipped at any length: the client is leaving.
    if (option === Option.ABORT) await channel.skip(lengthBytes);
    const data = option === Option.ABORT ? Buffer.alloc(0) : await channel.readRest(lengthBytes);
    const outcome = await negotiation.answer(option, data);
    if (outcome !== undefined) return outcome;
  }
}
