/** Waiting for time to pass, where nothing is waited for but that. */
import { unwatchAbort, watchAbort } from './abort.js';
import type { Clock } from './clock.js';

/** Resolves after the delay, or as soon as the signal is aborted. Does not keep the process alive. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      unwatchAbort(signal, end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    watchAbort(signal, end);
    if (signal?.aborted) end();
  });
}
