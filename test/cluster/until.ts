/** Waits for a state that events bring about; nothing hangs on how long it takes, but the guard against a deadlock. */

const guardMs = 300_000;

export interface Observable {
  onChange(listener: () => void): () => void;
}

/** Resolves as soon as `check` holds: now, or after one of the changes. @throws after five minutes */
export function until(what: string, source: Observable, check: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let end = (): void => {};
    const guard = setTimeout(() => {
      end();
      reject(new Error(`five minutes have passed without: ${what}`));
    }, guardMs);
    const look = (): boolean => {
      if (!check()) return false;
      clearTimeout(guard);
      end();
      resolve();
      return true;
    };
    if (!look()) end = source.onChange(look);
  });
}

/** The same for what tells of no changes: looked at again and again. */
export async function poll(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (const untilMs = performance.now() + guardMs; !(await check()); ) {
    if (performance.now() > untilMs) throw new Error(`five minutes have passed without: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
