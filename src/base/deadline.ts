/**
 * Waits that end at a deadline or an abort.
 *
 * One timer and one listener per wait, both taken off when the wait ends: `AbortSignal.any` and
 * `AbortSignal.timeout` leak on Node 20 and cost some 11 µs each.
 */
import { unwatchAbort, watchAbort } from './abort.js';
import { type Clock, systemClock } from './clock.js';
import { AbortedError, DeadlineError } from './error.js';

export interface WaitOptions {
  /** Time until the wait is given up with `ERR_DEADLINE`, in ms; 0 waits for ever. */
  timeoutMs?: number | undefined;
  /** Ends the wait with `ERR_ABORTED`. */
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/**
 * Settles as `promise` does, or rejects with `ERR_DEADLINE` or `ERR_ABORTED`, whichever comes
 * first. The work behind `promise` goes on; its owner decides when it ends.
 *
 * @param what name of the wait in the error, for example `read of image debian at 1048576`
 */
export function waitFor<T>(what: string, promise: Promise<T>, options: WaitOptions): Promise<T> {
  const { timeoutMs = 0, signal, clock = systemClock } = options;
  if (timeoutMs === 0 && signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const end = (): void => {
      cancelTimer?.();
      unwatchAbort(signal, onAbort);
    };
    const onAbort = (): void => {
      end();
      reject(new AbortedError(what, { cause: signal?.reason }));
    };
    const onDeadline = (): void => {
      end();
      reject(new DeadlineError(what, timeoutMs));
    };
    const cancelTimer = timeoutMs > 0 ? clock.after(timeoutMs, onDeadline) : undefined;
    promise.then(
      (value) => {
        end();
        resolve(value);
      },
      (error: unknown) => {
        end();
        reject(error);
      },
    );
    if (signal?.aborted) onAbort();
    else watchAbort(signal, onAbort);
  });
}
