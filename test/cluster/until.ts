/** Waits for a state that events bring about; nothing hangs on how long it takes, but the guard against a deadlock. */

export interface Observable {
  onChange(listener: () => void): () => void;
}

/** Resolves as soon as `check` holds: now, or after one of the changes. @throws after 60 s */
export function until(what: string, source: Observable, check: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let end = (): void => {};
    const guard = setTimeout(() => {
      end();
      reject(new Error(`60 s have passed without: ${what}`));
    }, 60_000);
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
  for (const untilMs = performance.now() + 60_000; !(await check()); ) {
    if (performance.now() > untilMs) throw new Error(`60 s have passed without: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
