/** Waiting for time to pass, where nothing is waited for but that. */
import type { Clock } from './clock.js';

/** Resolves after the delay, or as soon as the signal is aborted. Does not keep the process alive. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
  });
}
