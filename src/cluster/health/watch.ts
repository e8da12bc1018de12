/**
 * Watches one address. It pings at intervals while the peer answers, with growing distance while it
 * does not, and at once on a reason to doubt.
 *
 * new ──▶ up ◀──▶ down an answer; no answer in time, or no connection └──▶ incompatible ◀──▶ an
 * answer of a program that this node can't talk to
 *
 * Invariants: one ping at a time. A broken connection is no failure until a new connect fails. A
 * delay of this process (stopped, overloaded) is not counted against the peer.
 */

import type { Clock } from '../../base/clock.js';
import { waitFor } from '../../base/deadline.js';
import { errorMessage } from '../../base/error.js';
import { IncompatibleError } from '../incompatible-error.js';
import type { NodeStatement } from '../node.js';
import type { OpenProbe, PingAnswer, Probe } from './probe.js';

export interface WatchTimes {
  /** Time from an answer to the next ping, give or take a tenth, in ms. */
  pingIntervalMs: number;
  /** Time without an answer after which the peer is down, in ms. */
  pingTimeoutMs: number;
  /** The same while there is a reason to doubt. */
  suspectTimeoutMs: number;
  /** Time until the second attempt at a peer that is down, in ms. It doubles with each attempt. */
  backoffMinMs: number;
  backoffMaxMs: number;
}

export interface WatchOptions extends WatchTimes {
  address: string;
  openProbe: OpenProbe;
  clock: Clock;
  /** A number from 0 (included) to 1. */
  random: () => number;
  /**
   * Called after each ping that brought news: another state, another statement (the used bytes
   * aside), another reason.
   */
  onChange(): void;
}

export type WatchState =
  | { kind: 'new' }
  | { kind: 'up'; statement: NodeStatement }
  | { kind: 'down'; message: string }
  | { kind: 'incompatible'; message: string; id: string | undefined; version: string | undefined };

interface Ping {
  abort: AbortController;
  /** Time at which the ping is given up, in ms. */
  endMs: number;
  cancelTimer(): void;
}

/**
 * Number of pings whose shortest round trip counts. The rest of a round trip is queueing, here or
 * there.
 */
const rttCount = 10;

export class Watch {
  readonly address: string;
  readonly #options: WatchOptions;
  readonly #probe: Probe;
  #state: WatchState = { kind: 'new' };
  #lastStatement: NodeStatement | undefined;
  #rttsUs: number[] = [];
  #ping: Ping | undefined;
  /** The ping under way, or the last one; never rejects. */
  #asking: Promise<void> = Promise.resolve();
  #cancelNext: (() => void) | undefined;
  #failureCount = 0;
  #silentSinceMs: number | undefined;
  #silenceMs = Number.POSITIVE_INFINITY;
  #closed = false;

  /** Pings at once. @throws CopseError `ERR_URL` */
  constructor(options: WatchOptions) {
    this.address = options.address;
    this.#options = options;
    this.#probe = options.openProbe(options.address, () => this.#now(options.pingTimeoutMs));
    this.#now(options.pingTimeoutMs);
  }

  get state(): WatchState {
    return this.#state;
  }

  /** The peer's statement at its last answer. */
  get lastStatement(): NodeStatement | undefined {
    return this.#lastStatement;
  }

  /** Shortest round trip of the last pings, in µs; `undefined` before the first answer. */
  get rttUs(): number | undefined {
    return this.#rttsUs.length === 0 ? undefined : Math.min(...this.#rttsUs);
  }

  /** Time since the first ping that the peer did not answer, in ms; 0 while it answers. */
  get silentMs(): number {
    return this.#silentSinceMs === undefined ? 0 : this.#options.clock.nowMs() - this.#silentSinceMs;
  }

  /** Silence that the last answer ended, in ms; infinite at and before the first answer. */
  get silenceMs(): number {
    return this.#silenceMs;
  }

  /** Tells the watch that a caller has a reason to doubt the peer. */
  suspect(): void {
    if (this.#state.kind !== 'up') return;
    const { suspectTimeoutMs } = this.#options;
    if (this.#ping === undefined) this.#now(suspectTimeoutMs);
    else if (this.#options.clock.nowMs() + suspectTimeoutMs < this.#ping.endMs) this.#arm(this.#ping, suspectTimeoutMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancelNext?.();
    this.#ping?.cancelTimer();
    this.#ping?.abort.abort();
    this.#probe.close();
  }

  /** Pings without further delay, unless a ping is under way. */
  #now(timeoutMs: number): void {
    if (this.#closed || this.#ping !== undefined) return;
    this.#cancelNext?.();
    this.#cancelNext = undefined;
    this.#asking = this.#ask(timeoutMs, false).catch(() => {});
  }

  /** Resolves after a ping that begins from here on; at once if the peer is not up. */
  async refresh(): Promise<void> {
    while (this.#ping !== undefined) await this.#asking;
    if (this.#state.kind !== 'up') return;
    this.#now(this.#options.suspectTimeoutMs);
    await this.#asking;
  }

  /**
   * Pings a peer that is not up once, without further delay. Resolves with or without an answer.
   */
  async look(): Promise<void> {
    if (this.#state.kind === 'up') return;
    this.#now(this.#options.suspectTimeoutMs);
    await this.#asking;
  }

  /** Pings now, whatever the last answer was. Resolves after the ping; a ping under way counts. */
  async meet(): Promise<void> {
    this.#now(this.#options.pingTimeoutMs);
    await this.#asking;
  }

  /** @param again true if the connection broke, and this is the attempt to make another */
  async #ask(timeoutMs: number, again: boolean): Promise<void> {
    const startMs = this.#options.clock.nowMs();
    const ping: Ping = { abort: new AbortController(), endMs: startMs, cancelTimer: () => {} };
    this.#ping = ping;
    this.#arm(ping, timeoutMs);
    const { signal } = ping.abort;
    const answer = await waitFor('ping', this.#probe.ping({ signal }), { signal }).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    ping.cancelTimer();
    this.#ping = undefined;
    if (this.#closed) return;
    const before = this.#state;
    if ('value' in answer) this.#answered(answer.value);
    else if (answer.error instanceof IncompatibleError) this.#incompatible(answer.error);
    else if (!signal.aborted && !again && this.#state.kind === 'up') return this.#ask(timeoutMs, true);
    else this.#down(startMs, signal.aborted ? `no answer within ${Math.round(ping.endMs - startMs)} ms` : errorMessage(answer.error));
    if (!isSame(before, this.#state)) this.#options.onChange();
  }

  /**
   * Ends the ping after `timeoutMs` from now. If this process itself was held up meanwhile, the
   * answer may lie unread in the socket, so the ping gets the time once more.
   */
  #arm(ping: Ping, timeoutMs: number, heldUp = false): void {
    const { clock } = this.#options;
    ping.cancelTimer();
    ping.endMs = clock.nowMs() + timeoutMs;
    ping.cancelTimer = clock.after(timeoutMs, () => {
      if (!heldUp && clock.nowMs() - ping.endMs > timeoutMs / 2) this.#arm(ping, timeoutMs, true);
      else ping.abort.abort();
    });
  }

  #answered({ statement, rttUs }: PingAnswer): void {
    this.#failureCount = 0;
    if (this.#lastStatement !== undefined) this.#silenceMs = this.silentMs;
    this.#silentSinceMs = undefined;
    this.#rttsUs = [...this.#rttsUs.slice(1 - rttCount), rttUs];
    this.#state = { kind: 'up', statement };
    this.#lastStatement = statement;
    const { pingIntervalMs, random } = this.#options;
    this.#next(pingIntervalMs * (0.9 + 0.2 * random()));
  }

  #incompatible(error: IncompatibleError): void {
    this.#state = { kind: 'incompatible', message: errorMessage(error), id: error.id, version: error.version };
    this.#next(this.#options.backoffMaxMs);
  }

  #down(pingStartMs: number, message: string): void {
    this.#state = { kind: 'down', message };
    this.#silentSinceMs ??= pingStartMs;
    this.#rttsUs = [];
    const { backoffMinMs, backoffMaxMs, random } = this.#options;
    const distanceMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** this.#failureCount);
    this.#failureCount = Math.min(this.#failureCount + 1, 16);
    this.#next(distanceMs * (0.5 + 0.5 * random()));
  }

  #next(delayMs: number): void {
    const { clock, pingTimeoutMs } = this.#options;
    this.#cancelNext?.();
    this.#cancelNext = clock.after(delayMs, () => {
      this.#cancelNext = undefined;
      this.#now(pingTimeoutMs);
    });
  }
}

function isSame(left: WatchState, right: WatchState): boolean {
  if (left.kind === 'up' && right.kind === 'up') return isSameStatement(left.statement, right.statement);
  return left.kind === right.kind && 'message' in left && 'message' in right && left.message === right.message;
}

/**
 * A probe returns the same parts if nothing changed, so comparing them costs nothing, however many
 * contents there are.
 */
function isSameStatement(left: NodeStatement, right: NodeStatement): boolean {
  const keys = Object.keys(right) as (keyof NodeStatement)[];
  return left === right || keys.every((key) => key === 'usedBytes' || left[key] === right[key]);
}
