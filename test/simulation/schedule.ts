/**
 * Time: one queue of events, each run at its moment, alone, until nothing that it caused is left to run. So a run is the same however fast the machine is.
 *
 * Invariants: events of one moment run in the order in which they were added; what belongs to a process that has ended never runs, and what belongs to one
 * that is stopped runs when it goes on. An event runs on behalf of whom it was added for (`cause`).
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../../src/base/clock.js';

/** Whose request something is done for, hop by hop, and by which path of a cache. */
export interface Cause {
  readonly hops: readonly string[];
  readonly path?: 'home' | 'guest' | undefined;
}

/** A process that events belong to. */
export interface Owner {
  readonly hasEnded: boolean;
  readonly isStopped: boolean;
  /** Keeps what it can't do now. */
  defer(run: () => void): void;
}

interface Event {
  atMs: number;
  order: number;
  run: (() => void) | undefined;
  owner: Owner | undefined;
  cause: Cause | undefined;
}

/** Work between two events passes through few turns of Node's loop; so many without anything new mean that it is done. */
const quietTurns = 2;

export class Schedule {
  readonly causes = new AsyncLocalStorage<Cause | undefined>();
  nowMs = 0;
  eventCount = 0;
  readonly #heap: Event[] = [];
  #order = 0;
  #activity = 0;

  /** Something was done: whoever it was may have more to do. */
  touch(): void {
    this.#activity += 1;
  }

  /** @returns cancels it */
  at(delayMs: number, run: () => void, owner?: Owner): () => void {
    this.touch();
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run, owner, cause: this.causes.getStore() };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  clockOf(owner: Owner): Clock {
    return { nowMs: () => this.nowMs, after: (delayMs, callback) => this.at(delayMs, callback, owner) };
  }

  /** Settles after `delayMs` of the owner's time. */
  pause(delayMs: number, owner?: Owner): Promise<void> {
    return new Promise((resolve) => void this.at(delayMs, resolve, owner));
  }

  /** Runs everything that is due until then. */
  async runUntil(untilMs: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop();
      const { run, owner, cause } = next;
      if (run === undefined || owner?.hasEnded === true) continue;
      this.nowMs = next.atMs;
      if (owner?.isStopped === true) {
        owner.defer(() => {
          if (next.run !== undefined) this.causes.run(cause, next.run);
        });
        continue;
      }
      this.eventCount += 1;
      this.causes.run(cause, run);
      await this.#drain();
    }
    this.nowMs = untilMs;
  }

  async #drain(): Promise<void> {
    for (let quiet = 0; quiet < quietTurns; ) {
      const before = this.#activity;
      await new Promise<void>((resolve) => void setImmediate(resolve));
      quiet = before === this.#activity ? quiet + 1 : 0;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(event, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [leftEvent, rightEvent] = [heap[left], heap[left + 1]];
      if (leftEvent === undefined) break;
      const [child, event] = rightEvent !== undefined && isBefore(rightEvent, leftEvent) ? [left + 1, rightEvent] : [left, leftEvent];
      if (!isBefore(event, last)) break;
      heap[at] = event;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(left: Event, right: Event): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
}
