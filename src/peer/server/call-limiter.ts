/**
 * Answers the calls of other nodes, over all connections, within bounds.
 *
 * Invariants: calls under way and answers that wait to be read are bounded. A call beyond the
 * bounds is answered with `ERR_BUSY`, so that the caller asks again. No answer rejects, whatever
 * the other node wrote.
 */
import { Budget } from '../../base/budget.js';
import { CopseError } from '../../base/error.js';
import { MiB } from '../../base/size.js';
import type { Caller } from '../../disk/protocol/caller.js';
import { answerOf, callPageBytes, decodeCall, encodeAnswer, encodeAnswerHeader, maxRequestBytes } from '../wire/call-page.js';
import { PeerCallDevice } from './call-device.js';

/**
 * Executes a call. The calling node gets code and message of any error.
 *
 * @throws CopseError `ERR_NO_SUCH_METHOD`, and what the method throws
 */
export type AnswerCall = (method: string, argument: unknown, context: CallContext) => Promise<unknown>;

export interface CallContext {
  /** Aborts when the connection ends. */
  signal: AbortSignal | undefined;
  /** The member that calls; `undefined` for a stranger. */
  caller: Caller | undefined;
}

export interface CallBounds {
  /** Bound on the calls under way. */
  callCount: number;
  /** Bound on the answers that wait to be read, in bytes. */
  answerBytes: number;
}

const defaultBounds: CallBounds = { callCount: 256, answerBytes: 64 * MiB };

export class CallLimiter {
  readonly #call: AnswerCall;
  readonly #bounds: CallBounds;
  readonly #held: Budget;
  #callCount = 0;

  constructor(call: AnswerCall, bounds: CallBounds = defaultBounds) {
    this.#call = call;
    this.#bounds = bounds;
    this.#held = new Budget(bounds.answerBytes);
  }

  /** Bytes of answers that wait to be read. */
  get heldBytes(): number {
    return this.#held.taken;
  }

  /**
   * Makes the device of one connection. The connection calls `release` when it ends.
   *
   * @param identify tells the calling member at the moment of the call. If it rejects, the error is
   *   the answer
   */
  open(identify?: () => Promise<Caller | undefined>): { device: PeerCallDevice; release(): void } {
    let heldBytes = 0;
    let isReleased = false;
    const device = new PeerCallDevice({
      sizeBytes: callPageBytes,
      maxRequestBytes,
      answer: async (request, signal) => {
        const body = await this.#answer(request, signal, identify);
        // The connection has ended, and no answer is read.
        if (isReleased) return body;
        const page = Buffer.concat([encodeAnswerHeader(body.length), body]);
        if (!this.#held.tryTake(page.length)) return busyPage;
        heldBytes = page.length;
        return page;
      },
    });
    return {
      device,
      release: () => {
        isReleased = true;
        this.#held.release(heldBytes);
        heldBytes = 0;
      },
    };
  }

  async #answer(
    request: Buffer,
    signal: AbortSignal | undefined,
    identify: (() => Promise<Caller | undefined>) | undefined,
  ): Promise<Buffer> {
    if (this.#callCount >= this.#bounds.callCount) return busyAnswer;
    this.#callCount += 1;
    try {
      const { method, argument } = decodeCall(request);
      return encodeAnswer({ result: await this.#call(method, argument, { signal, caller: identify && (await identify()) }) });
    } catch (error) {
      return encodeAnswer(answerOf(error));
    } finally {
      this.#callCount -= 1;
    }
  }
}

const busyAnswer = encodeAnswer(answerOf(new CopseError('ERR_BUSY', 'too many calls at once: ask again')));
/** The same buffer for all callers. Read only. */
const busyPage = Buffer.concat([encodeAnswerHeader(busyAnswer.length), busyAnswer]);

/** Makes one function of several methods, which it finds by their names. */
export function callMethods(methods: Readonly<Record<string, (argument: unknown) => Promise<unknown>>>): AnswerCall {
  return async (method, argument) => {
    const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (found === undefined) throw new CopseError('ERR_NO_SUCH_METHOD', `this node knows no method "${method.slice(0, 100)}"`);
    return found(argument);
  };
}
