/**
 * The work that real threads do for this process: calls on overlays, maps that are written, requests to files. Results
 * of the first two are handed out one by one, in an order that a seed repeats, when nothing else is left to do.
 *
 * It follows the whole process from the moment on at which it is made.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { native } from '../../../src/base/native/loader.js';
import type { NativeOverlayFile } from '../../../src/base/native/overlay.js';
import type { Random } from './random.js';

type Method = (...input: unknown[]) => Promise<unknown>;

const overlayMethods = ['read', 'write', 'zero', 'trim', 'fill', 'flush', 'close'] as const satisfies (keyof NativeOverlayFile)[];

export class RealWork {
  readonly #random: Random;
  readonly #held: { ended: Promise<unknown>; handOut: () => void }[] = [];
  #turnCount = 0;

  constructor(random: Random) {
    this.#random = random;
    const { openOverlayFile, writeOverlayMap } = native;
    native.writeOverlayMap = (...input) => this.#hold(writeOverlayMap(...input));
    let isFirst = true;
    native.openOverlayFile = (options) => {
      const overlay = openOverlayFile(options);
      if (isFirst) this.#follow(Object.getPrototypeOf(overlay));
      isFirst = false;
      return overlay;
    };
  }

  /** Whether something goes on that nobody has to hand out: of files, or between nodes without a delay. */
  get isAnyPending(): boolean {
    // Of libuv's thread.
    return this.#turnCount > 0 || process.getActiveResourcesInfo().some((name) => name.includes('Req'));
  }

  /** A moment of the event loop. */
  async turn(): Promise<void> {
    this.#turnCount += 1;
    await turn();
    this.#turnCount -= 1;
  }

  /** Waits for one result, and hands it out; `false`: there is none. */
  async handOut(): Promise<boolean> {
    if (this.#held.length === 0) return false;
    const [one] = this.#held.splice(this.#random.below(this.#held.length), 1);
    await one?.ended;
    one?.handOut();
    return true;
  }

  #hold<T>(result: Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.#held.push({ ended: result.then(ignore, ignore), handOut: () => resolve(result) });
    });
  }

  #follow(prototype: Record<string, Method>): void {
    const hold = <T>(result: Promise<T>): Promise<T> => this.#hold(result);
    for (const name of overlayMethods) {
      const method = prototype[name];
      if (method === undefined) throw new Error(`overlays have no ${name}`);
      prototype[name] = function held(...input) {
        return hold(method.apply(this, input));
      };
    }
  }
}

function ignore(): void {}
