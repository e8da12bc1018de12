/**
 * One step of a sweep over a store. It looks at a stretch of chunks of one class, and finds the
 * unused ones.
 *
 * Chunks of the other class keep their used marks. The native sweep knows no classes, so it is
 * called per stretch of chunks of the class. Absent chunks don't divide a stretch, and stretches
 * are long: a home has 4 MiB at a time.
 */
import { ChunkState } from '../../base/native/chunk.js';
import type { ChunkStore } from '../store/chunk-store.js';

export interface SweepStep {
  store: ChunkStore;
  /**
   * True for chunks of the class; `undefined` means all chunks. Called once per chunk with data;
   * the answer may change between steps.
   */
  belongs: ((chunkIndex: number) => boolean) | undefined;
  firstIndex: number;
  /** Chunks to look at, up to the end of the store. */
  scanCount: number;
  /** Bound on the chunks to find. */
  maxCount: number;
  /** True to find used chunks, too, unless they are pinned or busy. */
  force: boolean;
}

export interface SweepResult {
  found: number[];
  /** Chunks that were looked at; fewer than `scanCount` if `maxCount` were found. */
  scannedCount: number;
  /**
   * True if chunks of the class were left: used, pinned or busy. Always true without `belongs`,
   * because nothing counts them then.
   */
  spared: boolean;
}

export function sweepStep(step: SweepStep): SweepResult {
  const { store, belongs, firstIndex, scanCount } = step;
  const found: number[] = [];
  const end = firstIndex + scanCount;
  if (belongs === undefined) return { found, scannedCount: sweepStretch(step, found, firstIndex, end) - firstIndex, spared: true };
  let belongingCount = 0;
  let start: number | undefined;
  let chunk = firstIndex;
  const runs = store.runs(firstIndex, scanCount, scanCount);
  for (let index = 0; index + 1 < runs.length; index += 2) {
    const runEnd = chunk + (runs[index + 1] ?? 0);
    const hasData = runs[index] === ChunkState.present || runs[index] === ChunkState.unverified;
    for (; hasData && chunk < runEnd; chunk += 1) {
      if (belongs(chunk)) {
        belongingCount += 1;
        start ??= chunk;
      } else if (start !== undefined) {
        const next = sweepStretch(step, found, start, chunk);
        if (found.length === step.maxCount) return { found, scannedCount: next - firstIndex, spared: true };
        start = undefined;
      }
    }
    chunk = runEnd;
  }
  const next = start === undefined ? end : sweepStretch(step, found, start, end);
  return { found, scannedCount: next - firstIndex, spared: next < end || found.length < belongingCount };
}

/**
 * Adds the chunks found in `from` to `to` (exclusive), up to `maxCount` in all. Returns the
 * position of the end.
 */
function sweepStretch({ store, maxCount, force }: SweepStep, found: number[], from: number, to: number): number {
  // One pass clears the used marks. No read comes between the two passes.
  if (force) store.sweep(from, to - from, to - from);
  const [hand = to, ...more] = store.sweep(from, to - from, maxCount - found.length);
  found.push(...more);
  // A hand that passed the end of the store stands at its beginning.
  return hand <= from ? to : hand;
}
