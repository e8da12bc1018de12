/**
 * What one handshake may cost the server: options, bytes and time.
 *
 * A client that asks about each export once is served, however many exports there are. Each answer about an export that
 * exists gives the client back the bytes of the question, and some time. Everything else counts against fixed bounds:
 * unknown options, refusals, lists, and silence.
 *
 * Invariants: the number of options is at most `MAX_OPTION_COUNT` plus `questionsPerExport` for each export. The time left
 * never exceeds the handshake's timeout. So a client that repeats options for ever is ended, and so is one that trickles.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { DeadlineError } from '../../base/error.js';
import { NbdProtocolError } from '../codec/error.js';

/** Most options of one client that are not about an export, or that are refused. */
export const MAX_OPTION_COUNT = 1000;
/** Options about one export: INFO, LIST_META_CONTEXT, SET_META_CONTEXT and GO. */
const questionsPerExport = 4;
/** Time that an answer about an export gives back: a round trip over a slow link. */
const returnedMs = 100;
/** Bytes of a question that are given back at most: the longest name, and some queries. */
const returnedBytes = 8192;
/** A list counts as one option for each so many names. */
const namesPerOption = 1000;

export interface HandshakeBudgetOptions {
  /** Silence that ends a handshake, and the time for all that is not about an export; 0 for ever. */
  timeoutMs: number;
  clock?: Clock | undefined;
  /** Gives bytes back to the bound on what a handshake reads. */
  onReturn(bytes: number): void;
}

export class HandshakeBudget {
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #onReturn: (bytes: number) => void;
  #optionsLeft = MAX_OPTION_COUNT;
  #questionCount = 0;
  #endMs = 0;
  #wasRenewed = false;
  #cancel: () => void = () => {};
  /** Rejects with `ERR_DEADLINE` when the time is over. */
  readonly expired: Promise<never>;

  constructor({ timeoutMs, clock = systemClock, onReturn }: HandshakeBudgetOptions) {
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#onReturn = onReturn;
    this.expired = new Promise((_resolve, reject) => {
      if (timeoutMs > 0) this.#begin(reject);
    });
  }

  /** An option has come. @throws NbdProtocolError when the client has sent too many */
  spend(): void {
    this.#optionsLeft -= 1;
    if (this.#optionsLeft < 0)
      throw new NbdProtocolError(`client sent more than ${MAX_OPTION_COUNT} options that were not about an export`);
  }

  /** The names that a LIST told of count as further options. */
  spendOnNames(nameCount: number): void {
    this.#optionsLeft -= Math.floor(nameCount / namesPerOption);
  }

  /**
   * The option that was spent last was answered, and is about an export that exists.
   *
   * @param exportCount how many exports there are; asked only when the client has put many questions
   */
  return(lengthBytes: number, exportCount: () => number): void {
    this.#questionCount += 1;
    if (this.#questionCount > MAX_OPTION_COUNT && this.#questionCount > questionsPerExport * exportCount()) return;
    this.#optionsLeft += 1;
    this.#onReturn(Math.min(lengthBytes, returnedBytes));
    this.#endMs = Math.min(this.#endMs + returnedMs, this.#clock.nowMs() + this.#timeoutMs);
    this.#wasRenewed = true;
  }

  /** The handshake has ended. */
  close(): void {
    this.#cancel();
  }

  #begin(reject: (error: Error) => void): void {
    this.#endMs = this.#clock.nowMs() + this.#timeoutMs;
    const look = (): void => {
      const leftMs = this.#endMs - this.#clock.nowMs();
      if (!this.#wasRenewed || leftMs <= 0) {
        reject(new DeadlineError('NBD handshake', this.#timeoutMs));
        return;
      }
      this.#wasRenewed = false;
      this.#cancel = this.#clock.after(leftMs, look);
    };
    this.#cancel = this.#clock.after(this.#timeoutMs, look);
  }
}
