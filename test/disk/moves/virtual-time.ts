/**
 * Time that passes only when nothing real is left to do: threads, files and promises come first, then the next timer.
 *
 * Invariant: a delay of an hour and one of a millisecond cost the same, and neither ends before work that was begun
 * earlier.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../../src/base/clock.js';
import type { RealWork } from './real-work.js';

/** So many turns of the event loop without work are enough for a chain of promises. */
const quietTurns = 4;
/** Real time after which work that does not end is a fault. */
const hangsMs = 120_000;

interface Timer {
  atMs: number;
  number: number;
  callback: () => void;
}

export class VirtualTime implements Clock {
  #nowMs = 1000;
  #count = 0;
  readonly #timers = new Set<Timer>();
  readonly #work: RealWork;

  constructor(work: RealWork) {
    this.#work = work;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    this.#count += 1;
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), number: this.#count, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Lets work be done and time pass until it is so. @throws Error after `maxMs` of virtual time */
  async until(what: string, isSo: () => boolean, maxMs = Number.POSITIVE_INFINITY): Promise<void> {
    const endMs = this.#nowMs + maxMs;
    while (!isSo()) {
      if (!(await this.#quiet(isSo))) return;
      const next = this.#next();
      if (next === undefined || next.atMs > endMs) throw new Error(`${what}: it never was, in ${maxMs} ms`);
      this.#timers.delete(next);
      this.#nowMs = next.atMs;
      next.callback();
    }
  }

  /** As `until` the work has settled. */
  async during<T>(what: string, work: Promise<T>, maxMs?: number): Promise<T> {
    let settled = false;
    const end = (): void => {
      settled = true;
    };
    work.then(end, end);
    await this.until(what, () => settled, maxMs);
    return work;
  }

  /** Resolves when nothing real is under way; `false`: it is so already. */
  async #quiet(isSo: () => boolean): Promise<boolean> {
    const guardMs = performance.now() + hangsMs;
    for (let quietCount = 0; quietCount < quietTurns; quietCount += 1) {
      await turn();
      if (isSo()) return false;
      if (performance.now() > guardMs) throw new Error('the work of files or threads never ends');
      if (this.#work.isAnyPending) quietCount = -1;
      else if (quietCount === quietTurns - 1 && (await this.#work.handOut())) quietCount = -1;
    }
    return true;
  }

  /** Of those that fall due at once, the one that was set first. */
  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.number < next.number)) next = timer;
    }
    return next;
  }
}
