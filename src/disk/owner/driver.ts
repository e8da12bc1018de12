/**
 * Runs the machine of ownership: the only caller of `step`.
 *
 * Invariants: the effects of one work run in order, one at a time. Effects that need no waiting run
 * in the turn of their step, so nothing comes between a decision and the file that makes it
 * durable. Effects after one that failed do not begin. `order.ts` checks each list first.
 */
import { type RuleIndex, type State, type Step, step } from './machine.js';
import { assertOrder } from './order.js';
import type { Effect, Event, Facts, Volatile, Work } from './state.js';
import { atRest } from './state.js';

/** An effect that was begun: `Driver.ended` or `Driver.failed` is called when it is over. */
export const underWay = Symbol('under way');

export interface Hands {
  /** The durable part as it is now. */
  facts(): Facts;
  /**
   * Carries out one effect, or begins it.
   *
   * @returns `underWay`, or the answer
   * @throws what the effect fails with
   */
  perform(effect: Effect, key: string, work: Work): unknown;
}

/** Effects that are still to be run, of one work. */
export interface Run {
  readonly effects: readonly Effect[];
}

/** All that a driver knows: plain data. */
export interface DriverState {
  readonly volatile: Volatile;
  /** By the key of their work. The first effect of each is under way. */
  readonly runs: Readonly<Record<string, Run>>;
}

export class Driver {
  readonly #hands: Hands;
  readonly #rules: RuleIndex | undefined;
  #state: DriverState;

  /** @param rules a table in place of the real one, for tests that break it */
  constructor(hands: Hands, state: DriverState = { volatile: atRest, runs: {} }, rules?: RuleIndex) {
    this.#hands = hands;
    this.#state = state;
    this.#rules = rules;
  }

  get state(): DriverState {
    return this.#state;
  }

  get volatile(): Volatile {
    return this.#state.volatile;
  }

  dispatch(event: Event): void {
    const facts = this.#hands.facts();
    const state: State = { facts, volatile: this.#state.volatile };
    let next: Step;
    try {
      next = step(state, event, this.#rules);
      if (this.#rules === undefined && next.key !== undefined) assertOrder(next.effects, facts, next.volatile.works[next.key]);
    } catch (error) {
      // Files that can't be read, say: the work fails as if an effect had.
      if (event.kind !== 'done') throw error;
      this.dispatch({ kind: 'failed', key: event.key, error });
      return;
    }
    const { volatile, key, effects } = next;
    this.#state = { ...this.#state, volatile };
    if (key !== undefined) this.#run(key, effects, undefined);
  }

  /** The effect that is under way has ended. */
  ended(key: string, answer?: unknown): void {
    const run = this.#state.runs[key];
    if (run !== undefined) this.#run(key, run.effects.slice(1), answer);
  }

  /** The effect that is under way has failed. */
  failed(key: string, error: unknown): void {
    this.#drop(key);
    this.dispatch({ kind: 'failed', key, error });
  }

  #run(key: string, all: readonly Effect[], before: unknown): void {
    let answer = before;
    let effects = all;
    for (;;) {
      const [effect] = effects;
      const work = this.volatile.works[key];
      if (effect === undefined || work === undefined) break;
      this.#state = { ...this.#state, runs: { ...this.#state.runs, [key]: { effects } } };
      let result: unknown;
      try {
        result = this.#hands.perform(effect, key, work);
      } catch (error) {
        this.failed(key, error);
        return;
      }
      if (result === underWay) return;
      answer = result;
      effects = effects.slice(1);
    }
    this.#drop(key);
    this.dispatch({ kind: 'done', key, answer });
  }

  #drop(key: string): void {
    const { [key]: _run, ...runs } = this.#state.runs;
    this.#state = { ...this.#state, runs };
  }
}
