/**
 * Hears of a signal's abort. Hundreds of requests may wait under one signal, that of a connection say: each signal gets one listener,
 * however many wait, and loses it with the last of them. (EventTarget searches a list for each that leaves, and from the eleventh on
 * Node warns of a leak.)
 *
 * Invariant: after `unwatchAbort` the callback is not called; no callback keeps another from being called.
 */

interface Watchers {
  callbacks: Set<() => void>;
  listener: () => void;
}

const watchersBySignal = new WeakMap<AbortSignal, Watchers>();

/** Calls back once when the signal is aborted from now on. One that is aborted already is the caller's to look at. */
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

/** What one throws is reported as an uncaught error, as EventTarget does. */
function call(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
