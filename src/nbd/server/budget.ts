/**
 * Bounds what one handshake may cost the server: options, bytes and time.
 *
 * A client that asks about each export once is served, with any number of exports. Each answer
 * about an existing export gives the client the bytes of the question back, and some time.
 * Everything else counts against fixed bounds: unknown options, refusals, lists and silence.
 *
 * Invariants: the number of options is at most `MAX_OPTION_COUNT` plus `questionsPerExport` per
 * export. The time left never exceeds the handshake's timeout. So a client that repeats options for
 * ever is ended, and so is one that trickles.
 */
import { type Clock, systemClock } from '../../base/clock.js';
import { DeadlineError } from '../../base/error.js';
import { NbdProtocolError } from '../codec/error.js';

/** Bound on the options of one client that are not about an export, or are refused. */
export const MAX_OPTION_COUNT = 1000;
/** Options about one export: INFO, LIST_META_CONTEXT, SET_META_CONTEXT and GO. */
const questionsPerExport = 4;
/** Time that an answer about an export gives back, in ms: a round trip over a slow link. */
const returnedMs = 100;
/** Bound on the bytes of a question that are given back: the longest name, and some queries. */
const returnedBytes = 8192;
/** Names of a list that count as one option. */
const namesPerOption = 1000;

export interface HandshakeBudgetOptions {
  /**
   * Bound on silence, and on the time for everything that is not about an export, in ms; 0 means
   * none.
   */
  timeoutMs: number;
  clock?: Clock | undefined;
  /** Gives bytes back to the bound on the input of a handshake. */
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

  /**
   * Counts an option.
   *
   * @throws NbdProtocolError if the client has sent too many
   */
  spend(): void {
    this.#optionsLeft -= 1;
    if (this.#optionsLeft < 0)
      throw new NbdProtocolError(`client sent more than ${MAX_OPTION_COUNT} options that were not about an export`);
  }

  /** Counts the names of a LIST as further options. */
  spendOnNames(nameCount: number): void {
    this.#optionsLeft -= Math.floor(nameCount / namesPerOption);
  }

  /**
   * Gives back what the last option cost, which was about an existing export and has been answered.
   *
   * @param exportCount number of exports; asked only after many questions of the client
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
