/**
 * Bounds the bytes that all connections together copy in one turn of the event loop, where
 * JavaScript answers hits.
 *
 * Invariants: when the bytes of a turn are spent, connections with a backlog wait in line for a
 * later turn. Input that has just arrived is answered up to a small share all the same. So a client
 * that asks for little never waits for clients that ask for much.
 */
import { KiB, MiB } from '../base/size.js';

/** Bound per turn; about a millisecond of copying. */
const turnBytes = 4 * MiB;
/** Share of one connection in a turn. */
const shareBytes = 1 * MiB;
/** Share of a connection whose input has just arrived, once the turn is spent. */
const smallShareBytes = 256 * KiB;

export class CopyTurn {
  #leftBytes = turnBytes;
  #waiting: (() => void)[] = [];
  #isArmed = false;

  /**
   * Returns the bytes that a connection may copy now; 0 means it has to wait.
   *
   * @param isFresh true if its input has just arrived
   */
  share(isFresh: boolean): number {
    if (this.#leftBytes > 0) return shareBytes;
    return isFresh ? smallShareBytes : 0;
  }

  spend(bytes: number): void {
    this.#leftBytes -= bytes;
    this.#arm();
  }

  /** Calls `resume` in a later turn. */
  wait(resume: () => void): void {
    this.#waiting.push(resume);
    this.#arm();
  }

  #arm(): void {
    if (this.#isArmed) return;
    this.#isArmed = true;
    setImmediate(() => {
      this.#isArmed = false;
      this.#leftBytes = turnBytes;
      const due = this.#waiting;
      this.#waiting = [];
      let count = 0;
      for (; count < due.length && this.#leftBytes > 0; count += 1) due[count]?.();
      if (count === due.length) return;
      this.#waiting = [...due.slice(count), ...this.#waiting];
      this.#arm();
    });
  }
}
