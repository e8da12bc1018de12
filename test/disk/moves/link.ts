/** Links between nodes: what is sent arrives after the delay of its direction, by the clock of the test. */
import type { Random } from './random.js';
import type { RealWork } from './real-work.js';
import type { VirtualTime } from './virtual-time.js';

/** One way. */
const delaysMs = [0, 20, 50, 150] as const;

export interface Message {
  from: string;
  to: string;
  what: string;
}

export class Links {
  readonly #time: VirtualTime;
  readonly #work: RealWork;
  readonly #delayMs = new Map<string, number>();
  /** Called as each message arrives. */
  onArrival: ((message: Message) => void) | undefined;

  constructor(time: VirtualTime, work: RealWork) {
    this.#time = time;
    this.#work = work;
  }

  set(from: string, to: string, delayMs: number): void {
    this.#delayMs.set(`${from}>${to}`, delayMs);
  }

  setAll(ids: readonly string[], random: Random): void {
    for (const from of ids) for (const to of ids) this.set(from, to, random.pick(delaysMs));
  }

  /** There and back, so many times: what a new connection costs before anything is asked on it. */
  async shake(one: string, other: string, count: number): Promise<void> {
    for (let done = 0; done < count; done += 1) {
      await this.trip(one, other);
      await this.trip(other, one);
    }
  }

  /** A question, its work at the other side, and the answer. */
  async ask<T>(from: string, to: string, what: string, serve: () => Promise<T>): Promise<T> {
    await this.trip(from, to);
    this.onArrival?.({ from, to, what });
    try {
      return await serve();
    } finally {
      await this.trip(to, from);
      this.onArrival?.({ from: to, to: from, what: `${what} answer` });
    }
  }

  async trip(from: string, to: string): Promise<void> {
    const delayMs = this.#delayMs.get(`${from}>${to}`) ?? 0;
    if (delayMs === 0) await this.#work.turn();
    else await this.#time.pause(delayMs);
  }
}
