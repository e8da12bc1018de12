/**
 * Pause before another try at etcd: longer each time, with a part by chance, so that nodes don't
 * try at once.
 */

/** @returns milliseconds, from 100 up to 3000, with half of it at random */
export function backoffMs(failureCount: number): number {
  const greatestMs = Math.min(3000, 200 * 2 ** Math.min(failureCount, 8));
  return greatestMs * (0.5 + Math.random() / 2);
}
