/** Waits for nothing but time to pass. */
import { unwatchAbort, watchAbort } from './abort.js';
import type { Clock } from './clock.js';

/**
 * Resolves after the delay, or as soon as one of the signals is aborted. The caller looks at the
 * signals itself. Does not keep the process alive.
 */
export function pause(clock: Clock, delayMs: number, ...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      for (const signal of signals) unwatchAbort(signal, end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    for (const signal of signals) watchAbort(signal, end);
    if (signals.some((signal) => signal?.aborted)) end();
  });
}
