/**
 * An export on another NBD server over one connection.
 *
 * Every call is checked here: its range, the operations that the server offers, and the longest
 * payload. A longer read or write is divided, and its parts run at once. So is a longer effect on
 * compact headers. The connection below only transmits.
 */
import { ClosedError } from '../../base/error.js';
import { Command, CommandFlag, type ErrorNumber, MAX_PAYLOAD_BYTES, type ReplyMode, TransmissionFlag } from '../codec/constant.js';
import { NbdRequestError } from '../codec/error.js';
import type { StatusExtent } from '../codec/frame.js';
import type { BlockSizeInfo } from '../codec/option.js';
import { Connection } from './connection.js';
import type {
  NbdAgreement,
  NbdBlockStatusOptions,
  NbdConnectOptions,
  NbdReadOptions,
  NbdReadSink,
  NbdRemote,
  NbdRequestOptions,
  NbdWriteOptions,
  NbdWriteZeroesOptions,
} from './contract.js';
import { type NbdTarget, resolveTarget } from './dial.js';
import { attach } from './handshake.js';

const DEFAULT_MAX_IN_FLIGHT = 64;
/**
 * Longest effect of one request on compact headers: the largest multiple of 64 KiB that 32 bits
 * hold.
 */
const MAX_COMPACT_EFFECT_BYTES = 2 ** 32 - 65536;

export class NbdClient implements NbdRemote {
  readonly #agreement: NbdAgreement;
  readonly #connection: Connection;

  private constructor(agreement: NbdAgreement, connection: Connection) {
    this.#agreement = agreement;
    this.#connection = connection;
  }

  /**
   * Connects and attaches to an export.
   *
   * @throws NbdRefusedError, NbdProtocolError, NbdDisconnectedError, `ERR_URL`, `ERR_DEADLINE`,
   * `ERR_ABORTED`
   */
  static async connect(target: NbdTarget, options: NbdConnectOptions = {}): Promise<NbdClient> {
    const uri = resolveTarget(target, options.exportName);
    const attached = await attach(uri, options.contexts ?? [], options.replies ?? 'extended', options);
    const { maxInFlight = DEFAULT_MAX_IN_FLIGHT, patience, log } = options;
    const connection = new Connection(attached, { maxInFlight, patience, log });
    return new NbdClient(attached.agreement, connection);
  }

  get exportName(): string {
    return this.#agreement.exportName;
  }

  get description(): string {
    return this.#agreement.description;
  }

  get sizeBytes(): number {
    return this.#agreement.sizeBytes;
  }

  /** `TransmissionFlag`s. */
  get transmissionFlags(): number {
    return this.#agreement.transmissionFlags;
  }

  get blockSize(): BlockSizeInfo {
    return this.#agreement.blockSize;
  }

  get replies(): ReplyMode {
    return this.#agreement.replies;
  }

  /** Ids by name of the contexts that the server granted. */
  get contexts(): ReadonlyMap<string, number> {
    return this.#agreement.contexts;
  }

  /** Reason why the connection takes no more requests; `undefined` while it does. */
  get failure(): Error | undefined {
    return this.#connection.failure;
  }

  /** Resolves when the connection has ended, for any reason. */
  get closed(): Promise<void> {
    return this.#connection.closed;
  }

  read(offset: number, lengthBytes: number, sink: NbdReadSink, options: NbdReadOptions = {}): Promise<void> {
    const flags = options.df === true && this.#offers(TransmissionFlag.SEND_DF) ? CommandFlag.DF : 0;
    return this.#each(Command.READ, flags, offset, lengthBytes, this.#maxPayloadBytes, options.signal, { sink });
  }

  write(source: Buffer, offset: number, options: NbdWriteOptions = {}): Promise<void> {
    const refused = this.#refuseWrite(options.fua);
    if (refused !== undefined) return Promise.reject(refused);
    const flags = options.fua === true ? CommandFlag.FUA : 0;
    return this.#each(Command.WRITE, flags, offset, source.length, this.#maxPayloadBytes, options.signal, { source });
  }

  writeZeroes(offset: number, lengthBytes: number, options: NbdWriteZeroesOptions = {}): Promise<void> {
    const refused =
      this.#refuseWrite(options.fua) ??
      this.#refuseUnless(TransmissionFlag.SEND_WRITE_ZEROES, 'WRITE_ZEROES') ??
      (options.fastOnly === true ? this.#refuseUnless(TransmissionFlag.SEND_FAST_ZERO, 'FAST_ZERO') : undefined);
    if (refused !== undefined) return Promise.reject(refused);
    const flags =
      (options.fua === true ? CommandFlag.FUA : 0) |
      (options.noHole === true ? CommandFlag.NO_HOLE : 0) |
      (options.fastOnly === true ? CommandFlag.FAST_ZERO : 0);
    return this.#each(Command.WRITE_ZEROES, flags, offset, lengthBytes, this.#maxEffectBytes, options.signal);
  }

  trim(offset: number, lengthBytes: number, options: NbdWriteOptions = {}): Promise<void> {
    const refused = this.#refuseWrite(options.fua) ?? this.#refuseUnless(TransmissionFlag.SEND_TRIM, 'TRIM');
    if (refused !== undefined) return Promise.reject(refused);
    const flags = options.fua === true ? CommandFlag.FUA : 0;
    return this.#each(Command.TRIM, flags, offset, lengthBytes, this.#maxEffectBytes, options.signal);
  }

  async flush(options: NbdRequestOptions = {}): Promise<void> {
    const refused = this.#refuseUnless(TransmissionFlag.SEND_FLUSH, 'FLUSH');
    if (refused !== undefined) throw refused;
    await this.#connection.ask({ type: Command.FLUSH, flags: 0, offset: 0, lengthBytes: 0 }, options.signal);
  }

  cache(offset: number, lengthBytes: number, options: NbdRequestOptions = {}): Promise<void> {
    const refused = this.#refuseUnless(TransmissionFlag.SEND_CACHE, 'CACHE');
    if (refused !== undefined) return Promise.reject(refused);
    // A server that reads the range to cache it keeps to the longest payload.
    return this.#each(Command.CACHE, 0, offset, lengthBytes, this.#maxPayloadBytes, options.signal);
  }

  async blockStatus(offset: number, lengthBytes: number, options: NbdBlockStatusOptions = {}): Promise<Map<string, StatusExtent[]>> {
    const { contexts } = this.#agreement;
    if (contexts.size === 0) throw refusal('ENOTSUP', 'BLOCK_STATUS without a context: name some when connecting');
    const outside = this.#refuseOutside(offset, lengthBytes);
    if (outside !== undefined) throw outside;
    if (lengthBytes === 0) return new Map([...contexts.keys()].map((name) => [name, []]));
    const flags = options.one === true ? CommandFlag.REQ_ONE : 0;
    const ask = { type: Command.BLOCK_STATUS, flags, offset, lengthBytes: Math.min(lengthBytes, this.#maxEffectBytes) };
    const { status } = await this.#connection.ask(ask, options.signal);
    return new Map([...contexts].map(([name, id]) => [name, status.get(id) ?? []]));
  }

  disconnect(): Promise<void> {
    return this.#connection.disconnect();
  }

  /** Ends the connection at once; requests in flight reject with `error`. */
  destroy(error: Error = new ClosedError('NBD connection')): void {
    this.#connection.destroy(error);
  }

  get #maxPayloadBytes(): number {
    return Math.min(this.#agreement.blockSize.maximumBytes, MAX_PAYLOAD_BYTES);
  }

  get #maxEffectBytes(): number {
    return this.#agreement.replies === 'extended' ? Number.MAX_SAFE_INTEGER : MAX_COMPACT_EFFECT_BYTES;
  }

  /**
   * Sends one request, or several at once for a range longer than `maxBytes`. Settles when all
   * have; the first error counts.
   */
  async #each(
    type: number,
    flags: number,
    offset: number,
    lengthBytes: number,
    maxBytes: number,
    signal: AbortSignal | undefined,
    content: { sink?: NbdReadSink; source?: Buffer } = {},
  ): Promise<void> {
    const outside = this.#refuseOutside(offset, lengthBytes);
    if (outside !== undefined) throw outside;
    const { sink, source } = content;
    if (lengthBytes <= maxBytes) {
      if (lengthBytes > 0) await this.#connection.ask({ type, flags, offset, lengthBytes, payload: source, sink }, signal);
      return;
    }
    // Parts end at multiples of the size, so that all but the outer ends are aligned.
    const parts: Promise<unknown>[] = [];
    for (let at = offset; at < offset + lengthBytes; ) {
      const end = Math.min(offset + lengthBytes, at + maxBytes - (at % maxBytes));
      const payload = source?.subarray(at - offset, end - offset);
      parts.push(this.#connection.ask({ type, flags, offset: at, lengthBytes: end - at, payload, sink }, signal));
      at = end;
    }
    const failed = (await Promise.allSettled(parts)).find((part) => part.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #offers(flag: number): boolean {
    return (this.#agreement.transmissionFlags & flag) !== 0;
  }

  #refuseUnless(flag: number, what: string): NbdRequestError | undefined {
    return this.#offers(flag) ? undefined : refusal('ENOTSUP', `${what}, which the server does not offer`);
  }

  #refuseWrite(fua: boolean | undefined): NbdRequestError | undefined {
    if (this.#offers(TransmissionFlag.READ_ONLY)) return refusal('EPERM', `a write to export "${this.exportName}", which is read-only`);
    return fua === true ? this.#refuseUnless(TransmissionFlag.SEND_FUA, 'FUA') : undefined;
  }

  #refuseOutside(offset: number, lengthBytes: number): NbdRequestError | undefined {
    const inside =
      Number.isSafeInteger(offset) &&
      Number.isSafeInteger(lengthBytes) &&
      offset >= 0 &&
      lengthBytes >= 0 &&
      offset + lengthBytes <= this.sizeBytes;
    return inside ? undefined : refusal('EINVAL', `${lengthBytes} bytes at ${offset} of an export of ${this.sizeBytes}`);
  }
}

function refusal(code: keyof typeof ErrorNumber, what: string): NbdRequestError {
  return new NbdRequestError(code, `not asked of the NBD server: ${what}`);
}
