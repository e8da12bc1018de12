/**
 * How much all connections together copy in one turn of the event loop, where hits are answered on the JavaScript thread.
 *
 * Invariants: when the turn's bytes are spent, connections with a backlog wait in line for later turns. Input that has just come
 * is answered all the same, up to a small share, so a client that asks for little never waits for clients that ask for much.
 */
import { KiB, MiB } from '../base/size.js';

/** About a millisecond of copying. */
const turnBytes = 4 * MiB;
/** One connection's share of a turn. */
const shareBytes = 1 * MiB;
/** What a connection may copy for input that has just come, when the turn is spent. */
const smallShareBytes = 256 * KiB;

export class CopyTurn {
  #leftBytes = turnBytes;
  #waiting: (() => void)[] = [];
  #isArmed = false;

  /** Bytes that a connection may copy now. 0: it has to wait. @param isFresh whether its input has just come */
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
