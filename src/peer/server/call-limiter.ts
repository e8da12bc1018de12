/**
 * Answers what other nodes call, over all connections: never rejects, whatever was written, and keeps within its bounds.
 *
 * Invariant: answers that are held, and calls under way, are bounded; who finds no room is answered with `ERR_BUSY`, and asks again.
 */
import { Budget } from '../../base/budget.js';
import { CopseError } from '../../base/error.js';
import { MiB } from '../../base/size.js';
import type { Caller } from '../../disk/protocol/caller.js';
import { answerOf, callPageBytes, decodeCall, encodeAnswer, encodeAnswerHeader, mostRequestBytes } from '../wire/call-page.js';
import { PeerCallDevice } from './call-device.js';

/** @throws CopseError `ERR_NO_SUCH_METHOD`, and whatever the method throws: its code and message are told */
export type AnswerCall = (method: string, argument: unknown, context: CallContext) => Promise<unknown>;

export interface CallContext {
  signal: AbortSignal | undefined;
  /** The member that asks; `undefined` for a stranger. */
  caller: Caller | undefined;
}

export interface CallDeskBounds {
  callCount: number;
  answerBytes: number;
}

const defaultBounds: CallDeskBounds = { callCount: 256, answerBytes: 64 * MiB };

export class CallDesk {
  readonly #call: AnswerCall;
  readonly #bounds: CallDeskBounds;
  readonly #held: Budget;
  #callCount = 0;

  constructor(call: AnswerCall, bounds: CallDeskBounds = defaultBounds) {
    this.#call = call;
    this.#bounds = bounds;
    this.#held = new Budget(bounds.answerBytes);
  }

  /** Bytes of answers that are held. */
  get heldBytes(): number {
    return this.#held.taken;
  }

  /**
   * For one connection. `release` when it ends.
   *
   * @param identify tells the member that asks, at the moment of the call. What it rejects with is the answer
   */
  open(identify?: () => Promise<Caller | undefined>): { device: PeerCallDevice; release(): void } {
    let heldBytes = 0;
    let isReleased = false;
    const device = new PeerCallDevice({
      sizeBytes: callPageBytes,
      mostRequestBytes,
      answer: async (request, signal) => {
        const body = await this.#answer(request, signal, identify);
        // Nobody is there to read it.
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
/** Shared by all who get it. */
const busyPage = Buffer.concat([encodeAnswerHeader(busyAnswer.length), busyAnswer]);

/** Calls by name. */
export function callMethods(methods: Readonly<Record<string, (argument: unknown) => Promise<unknown>>>): AnswerCall {
  return async (method, argument) => {
    const found = Object.hasOwn(methods, method) ? methods[method] : undefined;
    if (found === undefined) throw new CopseError('ERR_NO_SUCH_METHOD', `this node knows no method "${method.slice(0, 100)}"`);
    return found(argument);
  };
}
