/**
 * Waits of tests. Each has a bound, and an error that names what did not come: a test fails, and never hangs.
 *
 * The bound is many times what any wait takes on a busy machine, and below the time that the runner gives a file.
 * A test that can await an event does so and needs none of this.
 */
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';

/** Bound of each wait, in ms. */
export const patienceMs = 300_000;

const pauseMs = 10;

/** Answers that mean "not yet". */
type NotYet = false | undefined;

/**
 * Asks every 10 ms until there is an answer.
 *
 * @param what names the awaited state, for the error
 * @param lastSeen asked once the bound has passed; the error prints its result as JSON
 * @returns the first answer that is neither `false` nor `undefined`
 */
export async function until<T>(
  what: string,
  ask: () => T | NotYet | Promise<T | NotYet>,
  lastSeen?: () => unknown,
): Promise<Exclude<T, NotYet>> {
  for (const endMs = performance.now() + patienceMs; ; await sleep(pauseMs)) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, NotYet>;
    if (performance.now() > endMs) throw late(what, lastSeen === undefined ? undefined : await lastSeen());
  }
}

/**
 * Looks in each turn of the event loop until a condition holds. For native work, whose end raises no event, and for
 * states that soon pass.
 *
 * @param what names the condition, for the error; its own source text unless it is given
 */
export async function holds(condition: () => boolean | Promise<boolean>, what = String(condition)): Promise<void> {
  for (const endMs = performance.now() + patienceMs; !(await condition()); await turn()) {
    if (performance.now() > endMs) throw late(what);
  }
}

export interface Observable {
  onChange(listener: () => void): () => void;
}

/** Resolves as soon as `check` holds: now, or after a change that the source tells of. */
export function untilChange(what: string, source: Observable, check: () => boolean): Promise<void> {
  let stop = (): void => {};
  const held = new Promise<void>((resolve) => {
    const look = (): void => {
      if (check()) resolve();
    };
    stop = source.onChange(look);
    look();
  });
  return comes(what, held).finally(() => stop());
}

/** @returns what `work` settles to; rejects once the bound has passed */
export async function comes<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late(what)), patienceMs);
  });
  return await Promise.race([work, hangs]).finally(() => clearTimeout(timer));
}

function late(what: string, lastSeen?: unknown): Error {
  const seen = lastSeen === undefined ? '' : `; last seen: ${JSON.stringify(lastSeen)}`;
  return new Error(`not within ${patienceMs} ms: ${what}${seen}`);
}
