/**
 * Takes requests from the input of a connection one by one, and decides which of them begins next.
 *
 * A request begins once there is room for it. While the oldest request waits for room, this class
 * looks ahead: it parses further headers and begins each READ of 0 bytes at once. A client may ask
 * with such a READ whether its connection is alive.
 *
 * Invariants: memory for a payload is taken before the payload is read. Requests that wait are
 * plain headers, except for the last one, and their number has a bound. Requests begin in the
 * order of the input, apart from READs of 0 bytes.
 */
import { Command, MAX_PAYLOAD_BYTES } from '../nbd/codec/constant.js';
import { NbdProtocolError } from '../nbd/codec/error.js';
import { emptyRequest, type Request, requestPayloadBytes } from '../nbd/codec/frame.js';
import { type CheckContext, type Refusal, refusalOf } from './request-check.js';
import { RequestReceiver } from './request-receiver.js';

/**
 * Payloads up to this many bytes are skipped when their request is refused; a longer one ends the
 * connection.
 */
const maxSkippedBytes = 2 * MAX_PAYLOAD_BYTES;

/** The connection, as its intake sees it. */
export interface IntakeHandler {
  /** True while no further request may begin. */
  readonly isFull: boolean;
  /** True while the client takes its replies from the connection. */
  readonly isClientReading: boolean;
  /**
   * Takes memory for a payload. Returns `undefined` while there is none; a later step asks again.
   */
  takePayload(lengthBytes: number): Buffer | undefined;
  givePayload(payload: Buffer): void;
  /**
   * Begins a request that passed the check. `payload` becomes the handler's.
   *
   * @param request reused for the next request unless it has a payload; copy it to keep it
   * @returns false if there is no memory for it yet; a later step tries again
   */
  begin(request: Request, payload: Buffer | undefined): boolean;
  refuse(request: Request, refusal: Refusal): void;
  /** Called for DISC: the client wants to leave. */
  disconnect(): void;
}

export interface RequestIntakeOptions {
  handler: IntakeHandler;
  check: CheckContext;
  /** Bound on the requests that wait for room. */
  maxWaiting: number;
}

export class RequestIntake {
  readonly #handler: IntakeHandler;
  readonly #check: CheckContext;
  readonly #maxWaiting: number;
  readonly #extended: boolean;
  readonly #receiver: RequestReceiver;
  readonly #request: Request = emptyRequest();
  /** Request whose payload is being received. */
  #incoming: { request: Request; payload: Buffer | undefined; refusal: Refusal | undefined } | undefined;
  /** Parsed requests that wait for room, oldest first. */
  readonly #waiting: Request[] = [];

  constructor(options: RequestIntakeOptions) {
    this.#handler = options.handler;
    this.#check = options.check;
    this.#maxWaiting = options.maxWaiting;
    this.#extended = options.check.replies === 'extended';
    this.#receiver = new RequestReceiver(this.#extended);
  }

  /** Bytes of input that no step has taken yet. */
  get pendingBytes(): number {
    return this.#receiver.pendingBytes;
  }

  /** True if all complete requests of the input have begun. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#receiver.pendingBytes === 0;
  }

  /** True if a further header may be parsed while requests wait. */
  get mayLookAhead(): boolean {
    const last = this.#waiting.at(-1);
    if (this.#waiting.length >= this.#maxWaiting) return false;
    return last === undefined || (last.type !== Command.DISC && requestPayloadBytes(last, this.#extended) === 0);
  }

  push(chunk: Buffer): void {
    this.#receiver.push(chunk);
  }

  /** Gives back the memory of a payload that is not complete. */
  drop(): void {
    const payload = this.#incoming?.payload;
    this.#incoming = undefined;
    if (payload !== undefined) this.#handler.givePayload(payload);
  }

  /**
   * Takes one request, or completes one payload.
   *
   * @returns false if it needs more input first, or the end of a request that has begun
   * @throws NbdProtocolError when the input is no request
   */
  step(): boolean {
    const incoming = this.#incoming;
    if (incoming !== undefined) {
      if (!this.#receiver.fill()) return false;
      this.#incoming = undefined;
      if (incoming.refusal === undefined) this.#handler.begin(incoming.request, incoming.payload);
      else this.#handler.refuse(incoming.request, incoming.refusal);
      return true;
    }
    if (this.#handler.isFull) return this.#lookAhead();
    const [waiting] = this.#waiting;
    if (waiting !== undefined) {
      if (!this.#accept(waiting)) return this.#lookAhead();
      this.#waiting.shift();
      return true;
    }
    if (!this.#receiver.next(this.#request)) return false;
    if (!this.#accept(this.#request)) this.#waiting.push({ ...this.#request });
    return true;
  }

  /**
   * Parses one header behind a request that waits. A client that leaves its replies unread gets no
   * further answers.
   */
  #lookAhead(): boolean {
    if (!this.mayLookAhead || !this.#handler.isClientReading || !this.#receiver.next(this.#request)) return false;
    if (this.#request.type === Command.READ && this.#request.lengthBytes === 0) this.#accept(this.#request);
    else this.#waiting.push({ ...this.#request });
    return true;
  }

  /** Returns false if there is no memory for the request yet. */
  #accept(request: Request): boolean {
    if (request.type === Command.DISC) {
      this.#handler.disconnect();
      return true;
    }
    const refusal = refusalOf(request, this.#check);
    const payloadBytes = requestPayloadBytes(request, this.#extended);
    if (payloadBytes > 0) return this.#expectPayload(request, payloadBytes, refusal);
    if (refusal === undefined) return this.#handler.begin(request, undefined);
    this.#handler.refuse(request, refusal);
    return true;
  }

  #expectPayload(request: Request, payloadBytes: number, refusal: Refusal | undefined): boolean {
    if (payloadBytes > maxSkippedBytes) {
      throw new NbdProtocolError(`a request carries a payload of ${payloadBytes} bytes; the limit is ${MAX_PAYLOAD_BYTES}`);
    }
    let payload: Buffer | undefined;
    if (refusal === undefined) {
      payload = this.#handler.takePayload(payloadBytes);
      if (payload === undefined) return false;
    }
    this.#incoming = { request: { ...request }, payload, refusal };
    this.#receiver.expect(payloadBytes, payload);
    return true;
  }
}
