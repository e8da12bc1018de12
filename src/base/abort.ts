/**
 * Reports the abort of a signal. Hundreds of requests may wait under one signal, for example that
 * of a connection. Each signal gets one listener, however many callbacks wait, and loses it with
 * the last of them. (EventTarget searches a list for each listener that leaves, and Node warns of a
 * leak from the eleventh on.)
 *
 * Invariant: after `unwatchAbort` the callback is not called; no callback keeps another from being
 * called.
 */

interface Watchers {
  callbacks: Set<() => void>;
  listener: () => void;
}

const watchersBySignal = new WeakMap<AbortSignal, Watchers>();

/**
 * Calls back once if the signal is aborted from now on. The caller looks itself at a signal that is
 * aborted already.
 */
export function watchAbort(signal: AbortSignal | undefined, callback: () => void): void {
  if (signal === undefined) return;
  const known = watchersBySignal.get(signal);
  if (known !== undefined) {
    known.callbacks.add(callback);
    return;
  }
  const callbacks = new Set([callback]);
  const listener = (): void => {
    for (const each of callbacks) call(each);
    watchersBySignal.delete(signal);
  };
  watchersBySignal.set(signal, { callbacks, listener });
  signal.addEventListener('abort', listener, { once: true });
}

export function unwatchAbort(signal: AbortSignal | undefined, callback: () => void): void {
  if (signal === undefined) return;
  const watchers = watchersBySignal.get(signal);
  if (watchers === undefined || !watchers.callbacks.delete(callback) || watchers.callbacks.size > 0) return;
  watchersBySignal.delete(signal);
  signal.removeEventListener('abort', watchers.listener);
}

/** Reports the error of a callback as an uncaught error, as EventTarget does. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
