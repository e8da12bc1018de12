/**
 * State of the cache's space as operators see it, and the pause after a failure of the disk.
 *
 * Invariant: a change of state is logged once, however many stores fail.
 */
import type { Clock } from '../../base/clock.js';
import { CopseError, errorCode, errorMessage } from '../../base/error.js';
import type { Logger } from '../../base/log.js';

/**
 * `full`: nothing more can be evicted. `broken`: the disk fails. Both pass bytes through without
 * storing them.
 */
export type SpaceState = 'ok' | 'full' | 'broken';

/** Pause after a failure of the disk, in ms. */
const brokenMs = 10_000;
const nothingKept = 'this node keeps nothing: its cache has a size of 0, so that all bytes pass through';

export class SpaceHealth {
  readonly #clock: Clock;
  readonly #log: Logger;
  /** True if the budget is 0: such a node stores nothing by design, and logs nothing about it. */
  readonly #keepsNothing: boolean;
  #brokenUntilMs = Number.NEGATIVE_INFINITY;
  #state: SpaceState = 'ok';
  #message: string | undefined;

  constructor(options: { clock: Clock; log: Logger; keepsNothing: boolean }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#keepsNothing = options.keepsNothing;
    if (this.#keepsNothing) [this.#state, this.#message] = ['full', nothingKept];
  }

  get state(): SpaceState {
    return this.#state;
  }

  /** Reason why the cache stores nothing at present. */
  get message(): string | undefined {
    return this.#message;
  }

  /**
   * @throws CopseError `ERR_CACHE_FULL` if the budget is 0, `ERR_CACHE_BROKEN` during the pause
   * after a failure
   */
  assertWell(): void {
    if (this.#keepsNothing) throw new CopseError('ERR_CACHE_FULL', nothingKept);
    if (this.#isWell()) return;
    throw new CopseError('ERR_CACHE_BROKEN', `the cache rests for ${brokenMs / 1000} s after a failure: ${this.#message}`);
  }

  /**
   * Enters the state `full`.
   *
   * @throws CopseError `ERR_CACHE_FULL`
   */
  full(message: string): never {
    this.#enter('full', message);
    throw new CopseError('ERR_CACHE_FULL', message);
  }

  /** A chunk was stored. */
  stored(): void {
    if (this.#isWell()) this.#enter('ok', undefined);
  }

  /** The disk failed. */
  failed(error: unknown): void {
    this.#brokenUntilMs = this.#clock.nowMs() + brokenMs;
    if (this.#keepsNothing) return;
    this.#enter(errorCode(error) === 'ENOSPC' ? 'full' : 'broken', errorMessage(error));
  }

  #isWell(): boolean {
    return this.#clock.nowMs() >= this.#brokenUntilMs;
  }

  #enter(state: SpaceState, message: string | undefined): void {
    this.#message = message;
    if (state === this.#state) return;
    this.#state = state;
    if (state === 'ok') this.#log.info('the cache stores again');
    else this.#log.error({ state, reason: message }, 'the cache does not store: reads pass through until there is room again');
  }
}
